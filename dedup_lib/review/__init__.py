"""Make the review page, which shows a plan in figures and pictures before rows are removed."""

from dedup_lib.review.making import make_review
from dedup_lib.review.page import check_installed, review_file

__all__ = [
    "check_installed",
    "make_review",
    "review_file",
]
