"""What is wrong with a configuration, all of it at once."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One fault: the variable's name (empty where several together are wrong), and what to do about it."""

    variable: str
    message: str

    def __str__(self) -> str:
        return f"{self.variable}: {self.message}" if self.variable else self.message


class ConfigError(Exception):
    """The environment does not make valid settings. Its text names variables and never their values."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        listed = "".join(f"\n  - {problem}" for problem in problems)
        super().__init__(f"The configuration has {len(problems)} problem(s):{listed}")
