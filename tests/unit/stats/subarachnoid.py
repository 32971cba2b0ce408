"""The 113 patients of the data set `aSAH` that R's pROC documents its functions with: outcome, WFNS grade, S100B.

N. Turck et al., A multiparameter panel method for outcome prediction following aneurysmal subarachnoid hemorrhage,
Intensive Care Medicine 36 (2010) 107-115.
"""

from __future__ import annotations

import numpy as np

_POOR = (
    "00001101001011001011101000000000100110110000000001100010001010011101101111000110100000010000000000001111110001000"
)
_WFNS = (
    "11113254125255125225211112121134214541425511241125521251222151125214524414121421232421451154221113125225552445111"
)
_S100B_HUNDREDTHS = (
    "13 14 10 4 13 10 47 16 18 10 12 10 44 71 4 8 49 4 7 33 9 9 7 11 7 17 7 11 13 19 5 16 41 14 34 35 48 "
    "9 96 25 50 46 16 7 43 45 11 8 9 86 52 8 6 13 207 10 14 15 7 6 77 5 9 30 3 9 4 23 70 9 27 71 8 26 8 "
    "16 9 13 10 8 11 33 11 28 7 10 32 22 7 5 24 38 10 15 8 14 10 7 4 19 56 14 58 32 82 74 15 47 17 44 15 "
    "50 48 "
)

POOR = np.asarray([int(digit) for digit in _POOR])
WFNS = np.asarray([int(digit) for digit in _WFNS])
S100B = np.asarray([int(number) for number in _S100B_HUNDREDTHS.split()]) / 100
