"""Ten classic algorithms, one file per type; sizes at the upper levels rule out slow ones."""

from axiom_rl.problems.types.hard import (
    coin_change,
    edit_distance,
    knapsack,
    lcs,
    lis,
    median_sorted_arrays,
    merge_intervals,
    n_queens,
    trapping_rain_water,
    word_break,
)

TYPES = (
    lcs.TYPE,
    edit_distance.TYPE,
    knapsack.TYPE,
    lis.TYPE,
    coin_change.TYPE,
    word_break.TYPE,
    merge_intervals.TYPE,
    median_sorted_arrays.TYPE,
    trapping_rain_water.TYPE,
    n_queens.TYPE,
)
