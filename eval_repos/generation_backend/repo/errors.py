"""Errors of the domain. The texts of `PublicError`s are written for the user."""


class PublicError(Exception):
    status_code = 400


class InsufficientCreditsError(PublicError):
    status_code = 402

    def __init__(self, required: int):
        super().__init__(f"This generation costs {required} credits, which is more than you have left.")
        self.required = required


class UnknownModelError(PublicError):
    status_code = 422

    def __init__(self, model_id: str):
        super().__init__(f"The model {model_id!r} is not supported.")


class InvalidParameterError(PublicError):
    status_code = 422


class GenerationNotFoundError(PublicError):
    status_code = 404

    def __init__(self) -> None:
        super().__init__("Generation not found.")


class GenerationBusyError(PublicError):
    status_code = 409

    def __init__(self) -> None:
        super().__init__("The generation is still being processed.")


class ServiceUnavailableError(RuntimeError):
    """One of the services behind us cannot be reached."""


class DatabaseUnavailableError(ServiceUnavailableError):
    pass


class StorageError(ServiceUnavailableError):
    pass


class FalServiceError(ServiceUnavailableError):
    pass
