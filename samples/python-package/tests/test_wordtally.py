from wordtally import tally


def test_words_are_counted_without_case_and_punctuation():
    assert tally("One two, two. (Three) three THREE") == {"one": 1, "two": 2, "three": 3}


def test_an_empty_text_has_no_words():
    assert tally(" ... \n") == {}
