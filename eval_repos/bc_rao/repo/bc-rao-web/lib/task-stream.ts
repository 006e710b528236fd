const API_URL = process.env.NEXT_PUBLIC_API_URL ?? "";

export type TaskKind = "drafts" | "monitoring";

export interface TaskHandlers {
  onProgress: (current: number, total: number, message: string) => void;
  onSuccess: (result: Record<string, unknown>) => void;
  onError: (message: string) => void;
}

/** Follow a background task until it ends. Returns a function that stops listening. */
export function followTask(kind: TaskKind, taskId: string, handlers: TaskHandlers): () => void {
  const source = new EventSource(`${API_URL}/api/v1/${kind}/tasks/${taskId}/stream`, {
    withCredentials: true,
  });

  source.onmessage = (event: MessageEvent<string>) => {
    const payload = JSON.parse(event.data);
    switch (payload.type) {
      case "progress":
        handlers.onProgress(payload.current ?? 0, payload.total ?? 0, payload.message ?? "");
        break;
      case "success":
        source.close();
        handlers.onSuccess(payload);
        break;
      case "error":
        source.close();
        handlers.onError(payload.message ?? "The task failed");
        break;
    }
  };

  return () => source.close();
}
