from __future__ import annotations

from policyd.policy.coverage import total_percent, unite_coverage


def test_a_line_reached_in_one_report_was_reached() -> None:
    reports = [
        {"path": "a", "covered": [1, 2], "not_covered": [3, 4]},
        {"path": "a", "covered": [3], "not_covered": [1, 2, 4]},
        {"path": "other", "covered": [1], "not_covered": []},
    ]

    [file] = unite_coverage(reports, ["a"])

    assert (file.reached, file.missed, file.percent) == ((1, 2, 3), (4,), 75.0)


def test_a_file_that_no_report_names_has_nothing_to_reach() -> None:
    [file] = unite_coverage([], ["a"])

    assert file.percent == 100.0


def test_all_lines_count_alike() -> None:
    files = unite_coverage(
        [{"path": "a", "covered": [1], "not_covered": []}, {"path": "b", "covered": [1], "not_covered": [2, 3]}], "ab"
    )

    assert total_percent(files) == 50.0
