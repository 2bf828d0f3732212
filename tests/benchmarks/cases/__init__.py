"""What is measured: one module a case, each with `TITLE`, `measure` and `report`."""

from tests.benchmarks.cases import (
    a_rewrite,
    b_big_list,
    c_big_both,
    d_big_images,
    e_many_files,
    f_growth,
    g_submit,
    h_shards,
    i_programs,
)

CASES = {
    "A": a_rewrite,
    "B": b_big_list,
    "C": c_big_both,
    "D": d_big_images,
    "E": e_many_files,
    "F": f_growth,
    "G": g_submit,
    "H": h_shards,
    "I": i_programs,
}
