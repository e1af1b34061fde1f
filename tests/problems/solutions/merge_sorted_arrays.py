RIGHT = {
    "sorted": "def merge_sorted_arrays(a, b):\n    return sorted(a + b)\n",
    "two indices": """
def merge_sorted_arrays(a, b):
    result, i, j = [], 0, 0
    while i < len(a) and j < len(b):
        if a[i] <= b[j]:
            result.append(a[i])
            i += 1
        else:
            result.append(b[j])
            j += 1
    return result + a[i:] + b[j:]
""",
    "heapq": """
import heapq

def merge_sorted_arrays(a, b):
    return list(heapq.merge(a, b))
""",
    "pops": """
def merge_sorted_arrays(a, b):
    out = []
    while a or b:
        if not b or (a and a[0] < b[0]):
            out.append(a.pop(0))
        else:
            out.append(b.pop(0))
    return out
""",
}
WRONG = {
    "not sorted": "def merge_sorted_arrays(a, b):\n    return a + b\n",
    "no repetitions": "def merge_sorted_arrays(a, b):\n    return sorted(set(a + b))\n",
    "tail lost": """
def merge_sorted_arrays(a, b):
    result, i, j = [], 0, 0
    while i < len(a) and j < len(b):
        if a[i] <= b[j]:
            result.append(a[i])
            i += 1
        else:
            result.append(b[j])
            j += 1
    return result
""",
    "tail of one list lost": """
def merge_sorted_arrays(a, b):
    result, i, j = [], 0, 0
    while i < len(a) and j < len(b):
        if a[i] <= b[j]:
            result.append(a[i])
            i += 1
        else:
            result.append(b[j])
            j += 1
    return result + a[i:]
""",
    "equal ones once": """
def merge_sorted_arrays(a, b):
    result, i, j = [], 0, 0
    while i < len(a) and j < len(b):
        if a[i] < b[j]:
            result.append(a[i])
            i += 1
        elif a[i] > b[j]:
            result.append(b[j])
            j += 1
        else:
            result.append(a[i])
            i += 1
            j += 1
    return result + a[i:] + b[j:]
""",
    "in turn": """
def merge_sorted_arrays(a, b):
    result = []
    for x, y in zip(a, b):
        result += sorted([x, y])
    n = min(len(a), len(b))
    return result + a[n:] + b[n:]
""",
    "descending": "def merge_sorted_arrays(a, b):\n    return sorted(a + b, reverse=True)\n",
    "sort returns nothing": "def merge_sorted_arrays(a, b):\n    return (a + b).sort()\n",
    "crashes on an empty list": """
def merge_sorted_arrays(a, b):
    if a[-1] <= b[0]:
        return a + b
    return sorted(a + b)
""",
}


def brute(a, b):
    rest, result = [*a, *b], []
    while rest:
        result.append(rest.pop(rest.index(min(rest))))
    return result
