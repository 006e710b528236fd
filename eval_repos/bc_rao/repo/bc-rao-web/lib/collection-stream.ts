const API_URL = process.env.NEXT_PUBLIC_API_URL ?? "";

export interface CollectionOutcome {
  state: "SUCCESS" | "FAILURE";
  meta: { total?: number; failed?: string[]; message?: string };
}

/** Follow a collection; the bar moves with every subreddit. */
export function followCollection(
  taskId: string,
  onProgress: (current: number, total: number) => void,
  onFinished: (outcome: CollectionOutcome) => void,
): () => void {
  const source = new EventSource(`${API_URL}/api/v1/campaigns/tasks/${taskId}/stream`, {
    withCredentials: true,
  });

  source.addEventListener("progress", (event) => {
    const meta = JSON.parse((event as MessageEvent<string>).data);
    onProgress(meta.current ?? 0, meta.total ?? 1);
  });

  source.addEventListener("finished", (event) => {
    source.close();
    onFinished(JSON.parse((event as MessageEvent<string>).data));
  });

  return () => source.close();
}
