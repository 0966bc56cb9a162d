"""proportions: the confidence intervals of a proportion and of a count."""

from math import sqrt

# Of the normal distribution 95 % lie within this many standard deviations.
Z_95 = 1.959964


def describe_share(count: int, total: int) -> str:
    """The proportion with its interval, "12.0% [3.5%, 34.0%]"; "-" if total is 0."""
    if total == 0:
        return "-"
    low, high = wilson(count, total)
    return f"{count / total:.1%} [{low:.1%}, {high:.1%}]"


def wilson(count: float, total: float) -> tuple[float, float]:
    """The 95 % score interval (low, high) of the proportion count / total; (0, 1) if total is 0.

    Wilson, Journal of the American Statistical Association 22 (1927) 209-212. It takes the counted
    ones as independent: for cells of one patient it is too narrow.
    """
    if total == 0:
        return 0.0, 1.0
    share, spread = count / total, Z_95**2 / total
    centre = share + spread / 2
    half = sqrt(spread * (share * (1 - share) + spread / 4))
    low, high = (centre - half) / (1 + spread), (centre + half) / (1 + spread)
    # Exactly 0 and 1 at the ends, where rounding would leave 1e-17.
    return (0.0 if count == 0 else low), (1.0 if count == total else high)


def poisson(count: int) -> tuple[float, float]:
    """The 95 % score interval (low, high) of the expected number of rare things, of a count."""
    middle, half = count + Z_95**2 / 2, Z_95 * sqrt(count + Z_95**2 / 4)
    return max(0.0, middle - half), middle + half
