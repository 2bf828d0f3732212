"""Make the review page, which shows a plan in figures and pictures before rows are removed."""

from dedup_lib.review.making import make_review
from dedup_lib.review.page import check_installed
from dedup_lib.review.page_file import check_review

__all__ = [
    "check_installed",
    "check_review",
    "make_review",
]
