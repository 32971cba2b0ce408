"""What a sum over trees goes through before it is an answer."""

IDENTITY, LOGISTIC, EXPONENTIAL, SOFTMAX = range(4)
