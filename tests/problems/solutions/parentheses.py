from solutions import valid_parentheses

NAME = "valid_parentheses"
ONE_KIND_IS_ENOUGH = ("running counts per kind", "one depth for all")
"""Right where there is one kind of brackets."""
ROUND_ONLY = "round ones only"


def right(task):
    return {name: source.replace(NAME, "solve") for name, source in valid_parentheses.RIGHT.items()}


def wrong(task):
    kinds = task.parameters["kinds"]
    programs = {
        name: source.replace(NAME, "solve")
        for name, source in valid_parentheses.WRONG.items()
        if not (len(kinds) == 1 and name in ONE_KIND_IS_ENOUGH)
        and not (kinds == ("()",) and name == ROUND_ONLY)
    }
    programs["the opposite"] = """
def solve(s):
    while '()' in s or '[]' in s or '{}' in s:
        s = s.replace('()', '').replace('[]', '').replace('{}', '')
    return s != ''
"""
    programs["always false"] = "def solve(s):\n    return False\n"
    return programs


def brute(s, **_parameters):
    return valid_parentheses.brute(s)
