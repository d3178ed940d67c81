"""The one error of the command line: a sentence for the person at the keyboard."""


class CliError(Exception):
    """Ends the command: the sentence goes to stderr, the code to the shell."""

    def __init__(self, sentence: str, code: int = 1) -> None:
        super().__init__(sentence)
        self.code = code
