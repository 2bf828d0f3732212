"""The review page in a browser, as a person has it before them."""

import json
from pathlib import Path

import pytest

pytest.importorskip("jinja2", reason="Jinja2 isn't installed")
pytest.importorskip("PIL", reason="Pillow isn't installed")

from dedup_lib.review.data import Pair
from tests.support.review.made_review import HOSTILE_IDS, made_review, picture

SIZES = [(1280, 900), (400, 800)]
NO_MEMORY = "Object.defineProperty(window, 'localStorage', {get() { throw new Error('no') }})"
# For each text the least contrast that WCAG 2.2 AA asks for, and what there is; for the edges of
# controls and the figures likewise.
TOO_FAINT = """() => {
  const channels = (text) => {
    const found = text.match(/[0-9.]+/g).map(Number);
    return found.length > 3 ? found : [...found, 1];
  };
  const over = (top, below) =>
    [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const light = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((v) => v / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => {
    const [low, high] = [light(a), light(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      layers.push(channels(getComputedStyle(at).backgroundColor));
    }
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  const faint = [];
  const check = (element, colour, background, least, what) => {
    const has = ratio(over(channels(colour), background), background);
    const start = element.outerHTML.slice(0, 80);
    if (has < least) faint.push(`${what} of ${start}: ${has.toFixed(2)}`);
  };
  let checked = 0;
  for (const element of document.querySelectorAll("body *")) {
    if (!element.checkVisibility() || element.matches("option, script, style, title")) continue;
    const style = getComputedStyle(element);
    const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (hasText) {
      const size = parseFloat(style.fontSize);
      const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      const colour = element.matches("svg *") ? style.fill : style.color;
      check(element, colour, behind(element), isLarge ? 3 : 4.5, "text");
      checked += 1;
    }
    if (element.matches("input[placeholder]")) {
      const { color } = getComputedStyle(element, "::placeholder");
      check(element, color, behind(element), 4.5, "placeholder");
    }
    if (element.matches("button:not(:disabled), input, select")) {
      check(element, style.borderTopColor, behind(element.parentElement), 3, "edge");
    }
    if (element.matches("rect")) check(element, style.fill, behind(element), 3, "figure");
  }
  return { faint, checked };
}"""


def shown_ids(page):
    return [
        json.loads(article.get_attribute("data-id"))
        for article in page.locator(".pair:visible").all()
    ]


def marked_ids(page):
    pressed = page.locator(".pair:has(.keep[aria-pressed=true])").all()
    return [json.loads(article.get_attribute("data-id")) for article in pressed]


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def saved(page, button):
    with page.expect_download() as caught:
        button.click()
    download = caught.value
    return download.suggested_filename, Path(download.path()).read_bytes().decode()


def download(page, what):
    page.locator(".downloads").evaluate("details => details.open = true")
    return saved(page, page.locator(f".downloads [data-download={what}]"))


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_page_shows_the_right_pairs_side_by_side(open_page, width, height):
    page = open_page(made_review(), viewport={"width": width, "height": height})
    assert page.title() == "250 images would go: review of run-1"
    assert shown_ids(page) == ["unsure", "large", "sure", "alone"]
    sides = page.locator(".pair").nth(1).locator(".side")
    assert "Goes large" in sides.nth(0).inner_text()
    assert "640 \u00d7 480" in sides.nth(0).inner_text()
    assert "Stays kept-3" in sides.nth(1).inner_text()
    left, right = (sides.nth(place).bounding_box() for place in (0, 1))
    assert left["y"] == right["y"]
    assert left["x"] + left["width"] <= right["x"]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_every_picture_is_drawn_and_large_enough(open_page, width, height):
    page = open_page(made_review(), viewport={"width": width, "height": height})
    pictures = page.locator(".picture img").all()
    assert len(pictures) == 6
    for image in pictures:
        image.scroll_into_view_if_needed()
        page.wait_for_function("image => image.complete", arg=image.element_handle())
        assert image.evaluate("image => image.naturalWidth") > 0
        assert image.bounding_box()["width"] >= 150


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_nothing_is_wider_than_the_screen(open_page, width, height):
    page = open_page(
        made_review(pairs=[Pair(picture("long" * 300, caption="word" * 200), picture("k" * 900))]),
        viewport={"width": width, "height": height},
    )
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_contrast_is_enough_in_the_light_and_in_the_dark(open_page, scheme, width, height):
    size = {"width": width, "height": height}
    page = open_page(made_review(), color_scheme=scheme, viewport=size)
    is_dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 26)"
    assert is_dark == (scheme == "dark")
    page.locator("details").evaluate_all("all => all.forEach((one) => { one.open = true })")
    press(page, "j", "x", "j")
    found = page.evaluate(TOO_FAINT)
    assert found["faint"] == []
    assert found["checked"] > 150
    press(page, "?")
    assert page.evaluate(TOO_FAINT)["faint"] == []


def test_the_filter_box_finds_ids_texts_and_formats(open_page):
    page = open_page(made_review())
    for words, found in [
        ("UNSURE", ["unsure"]),
        ("kept-3", ["large"]),
        ("a fox", ["unsure"]),
        ("png", ["unsure"]),
        ("640 \u00d7 480", ["large"]),
        ("nothing like it", []),
        ("", ["unsure", "large", "sure", "alone"]),
    ]:
        page.locator("#filter").fill(words)
        assert shown_ids(page) == found
        assert page.locator("#none").is_visible() == (not found)


def test_pairs_are_chosen_by_what_speaks_against_them(open_page):
    page = open_page(made_review())
    page.locator(".keep").nth(2).click()
    for choice, found in [
        ("keeper is smaller", ["unsure", "large"]),
        ("shapes differ", ["unsure"]),
        ("no keeper", ["alone"]),
        ("not shown", ["alone"]),
        ("marked", ["sure"]),
        ("unmarked", ["unsure", "large", "alone"]),
    ]:
        page.locator("#show").select_option(choice)
        assert shown_ids(page) == found


def test_the_choices_tell_how_many_pairs_they_show(open_page):
    choices = open_page(made_review()).locator("#show option").all_inner_texts()
    assert choices == [
        "all pairs",
        "marked keep",
        "not marked",
        "keeper is smaller (2)",
        "shapes differ (1)",
        "texts differ (1)",
        "no keeper (1)",
        "not shown (1)",
    ]


def test_pairs_are_sorted_as_asked(open_page):
    page = open_page(made_review())
    page.locator("#sort").select_option("certain")
    assert shown_ids(page) == ["alone", "sure", "large", "unsure"]
    page.locator("#sort").select_option("pixels")
    assert shown_ids(page) == ["large", "unsure", "sure", "alone"]
    press(page, "Tab")
    page.locator("h1").click()
    press(page, "j", "j", "x")
    assert marked_ids(page) == ["unsure"]


def test_pairs_with_the_same_keeper_are_brought_together(open_page):
    keepers = {"a": 1, "b": "1", "c": None, "d": "1", "e": 1, "f": None}
    pairs = [
        Pair(picture(one), None if keeper is None else picture(keeper), score=place / 10)
        for place, (one, keeper) in enumerate(keepers.items())
    ]
    page = open_page(made_review(pairs=pairs, scores=None))
    page.locator("#sort").select_option("keeper")
    assert shown_ids(page) == ["a", "e", "b", "d", "c", "f"]


def test_keys_step_mark_undo_and_swap(open_page):
    page = open_page(made_review())
    press(page, "j", "j")
    assert page.evaluate("document.activeElement.id") == "pair-2"
    assert page.locator("#place").inner_text() == "2 of 4"
    press(page, "x", "ArrowRight", "X")
    assert marked_ids(page) == ["large", "sure"]
    assert page.locator("#marks").inner_text() == "2 marked keep, not downloaded yet"
    press(page, "u")
    assert marked_ids(page) == ["large"]
    press(page, "k", "x")
    assert marked_ids(page) == []
    press(page, "u", "u")
    assert marked_ids(page) == []
    assert page.locator("#undo").is_disabled()
    removed = page.locator("#pair-2 .removed")
    before = removed.bounding_box()["x"]
    press(page, "s")
    assert removed.bounding_box()["x"] > before
    press(page, "s")
    assert removed.bounding_box()["x"] == before
    press(page, "j", "j", "j", "j", "j")
    assert page.locator("#place").inner_text() == "4 of 4"


def test_the_pair_that_a_key_goes_to_is_in_sight(open_page):
    page = open_page(made_review())
    for number in range(1, 5):
        press(page, "j")
        box = page.locator(f"#pair-{number} > header").bounding_box()
        assert 0 <= box["y"] <= 900 - 150


def test_what_is_filtered_out_is_neither_stepped_to_nor_marked(open_page):
    page = open_page(made_review())
    press(page, "j")
    page.locator("#filter").fill("kept-3")
    press(page, "Escape", "x")
    page.locator("#filter").fill("kept-3")
    page.locator("h1").click()
    press(page, "x")
    assert marked_ids(page) == ["unsure"]
    assert "1 not shown" in page.locator("#marks").inner_text()
    press(page, "j", "x")
    assert marked_ids(page) == ["unsure", "large"]


def test_all_shown_are_kept_at_once_and_undone_at_once(open_page):
    page = open_page(made_review())
    page.locator("#show").select_option("keeper is smaller")
    page.locator("#keep-all").click()
    assert marked_ids(page) == ["unsure", "large"]
    page.locator("#undo").click()
    assert marked_ids(page) == []


def test_letters_typed_into_the_filter_are_no_keys(open_page):
    page = open_page(made_review())
    press(page, "j", "/")
    page.keyboard.type("xjsure?")
    assert page.locator("#filter").input_value() == "xjsure?"
    assert marked_ids(page) == []
    press(page, "Escape")
    assert page.locator("#filter").input_value() == ""
    assert len(shown_ids(page)) == 4


def test_keys_can_be_switched_off_and_stay_so(open_page):
    page = open_page(made_review())
    press(page, "?")
    assert page.locator("#keys").is_visible()
    page.locator("#keys-on").uncheck()
    page.locator("#keys button").click()
    assert not page.locator("#keys").is_visible()
    press(page, "j", "x")
    page.reload()
    press(page, "j", "x")
    assert marked_ids(page) == []


def test_everything_can_be_done_without_a_mouse(open_page):
    """Each stop of the Tab key is seen to have the focus, and a mark and a download are made."""
    page = open_page(made_review())
    stops = []
    while True:
        press(page, "Tab")
        stop = page.evaluate(
            """() => {
              const at = document.activeElement;
              const style = getComputedStyle(at);
              const box = at.getBoundingClientRect();
              const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
              const middle = document.elementFromPoint(x, y);
              return {
                name: at.id || at.className || at.textContent.trim(),
                outline: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
                inSight: at.contains(middle) || (middle && middle.contains(at)),
              };
            }"""
        )
        if stop["name"] == "undo" or len(stops) > 60:
            break
        assert stop["outline"], stop
        assert stop["inSight"], stop
        stops.append(stop["name"])
        if stop["name"] == "keep" and marked_ids(page) == []:
            press(page, "Enter")
    assert {"skip", "filter", "show", "sort", "keep-all", "swap", "keep", "next"} <= set(stops)
    assert marked_ids(page) == ["unsure"]
    press(page, "Tab")
    with page.expect_download() as caught:
        press(page, "Enter")
    assert Path(caught.value.path()).read_text() == '{"id": "unsure"}\n'


def test_the_lists_have_what_was_marked_and_what_was_not(open_page):
    page = open_page(made_review(run="run 1/<b>"))
    assert page.locator(".dock [data-download]").is_disabled()
    page.locator(".keep").nth(0).click()
    page.locator(".keep").nth(3).click()
    name, text = saved(page, page.locator(".dock [data-download]"))
    assert name == "protect-ids-run-1-b-.jsonl"
    assert [json.loads(line) for line in text.splitlines()] == [{"id": "unsure"}, {"id": "alone"}]
    assert page.locator("#marks").inner_text() == "2 marked keep"
    name, text = download(page, "protect-csv")
    assert (name, text) == ("protect-ids-run-1-b-.csv", 'id\n"unsure"\n"alone"\n')
    name, text = download(page, "removal-jsonl")
    assert name == "sample-to-remove-run-1-b-.jsonl"
    assert text == '{"id": "large"}\n{"id": "sure"}\n'
    name, text = download(page, "removal-csv")
    assert text == 'id\n"large"\n"sure"\n'


def test_what_the_filter_hides_is_in_the_lists_all_the_same(open_page):
    page = open_page(made_review())
    page.locator(".keep").nth(0).click()
    page.locator("#filter").fill("kept-3")
    _, text = saved(page, page.locator(".dock [data-download]"))
    assert text == '{"id": "unsure"}\n'
    _, text = download(page, "removal-jsonl")
    assert text == '{"id": "large"}\n{"id": "sure"}\n{"id": "alone"}\n'


def test_types_and_digits_of_ids_survive(open_page):
    ids = [1, "1", 9_007_199_254_740_993, -(2**63), "01"]
    page = open_page(made_review(pairs=[Pair(picture(one)) for one in ids]))
    for button in page.locator(".keep").all()[:4]:
        button.click()
    _, text = download(page, "protect-jsonl")
    assert [json.loads(line)["id"] for line in text.splitlines()] == ids[:4]
    _, text = download(page, "protect-csv")
    assert text == 'id\n1\n"1"\n9007199254740993\n-9223372036854775808\n'
    _, text = download(page, "removal-jsonl")
    assert json.loads(text) == {"id": "01"}


def test_hostile_ids_do_no_harm_and_survive(open_page):
    pairs = [
        Pair(picture(one, caption=one), picture(f"keeper of {one}"), reasons=[one])
        for one in HOSTILE_IDS
    ]
    page = open_page(made_review(pairs=pairs, run="".join(HOSTILE_IDS)))
    assert page.title().startswith("250 images would go")
    assert shown_ids(page) == list(HOSTILE_IDS)
    page.locator("#keep-all").click()
    _, text = download(page, "protect-jsonl")
    assert [json.loads(line)["id"] for line in text.splitlines()] == list(HOSTILE_IDS)
    shown = page.locator(".removed figcaption .id").all_inner_texts()
    assert shown[4] == r"right\u202eto left\u2066isolated"
    assert shown[3] == r"two\nlines\r\nand\ttab"


def test_rows_of_one_id_are_marked_together_and_listed_once(open_page):
    page = open_page(made_review(pairs=[Pair(picture("twice")), Pair(picture("twice"))]))
    page.locator(".keep").first.click()
    assert marked_ids(page) == ["twice", "twice"]
    assert page.locator("#marks").inner_text().startswith("1 marked")
    _, text = download(page, "protect-jsonl")
    assert text == '{"id": "twice"}\n'


def test_marks_survive_a_reload_of_this_run_s_page_only(open_page):
    page = open_page(made_review())
    page.on("dialog", lambda dialog: dialog.accept())
    press(page, "j", "x")
    page.locator(".keep[aria-pressed=true]").first.wait_for()
    page.reload()
    page.locator(".keep[aria-pressed=true]").first.wait_for()
    assert marked_ids(page) == ["unsure"]
    path = Path(page.url.removeprefix("file://"))
    path.write_text(path.read_text().replace("&#34;run-1&#34;", "&#34;run-2&#34;"))
    page.reload()
    assert page.evaluate("document.body.dataset.run") == '"run-2"'
    assert marked_ids(page) == []


def test_where_the_browser_keeps_nothing_the_page_works_all_the_same(open_page):
    page = open_page(made_review(), script=NO_MEMORY)
    press(page, "j", "x")
    assert marked_ids(page) == ["unsure"]
    _, text = saved(page, page.locator(".dock [data-download]"))
    assert text == '{"id": "unsure"}\n'


def leave(page):
    """Close a page as a person does; return the kinds of questions that it asked."""
    asked = []

    def answer(dialog):
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", answer)
    with page.expect_event("close"):
        page.close(run_before_unload=True)
    return asked


def test_who_leaves_with_marks_that_were_not_downloaded_is_asked(open_page):
    page = open_page(made_review())
    page.locator(".keep").first.click()
    assert leave(page) == ["beforeunload"]


def test_who_leaves_with_a_download_or_without_marks_is_not_asked(open_page):
    page = open_page(made_review())
    page.locator(".keep").first.click()
    saved(page, page.locator(".dock [data-download]"))
    assert leave(page) == []
    page = open_page(made_review(run="run-2"))
    page.locator(".keep").first.click()
    page.locator("#undo").click()
    assert leave(page) == []


def test_without_scripts_everything_can_be_read(open_page):
    page = open_page(made_review(), java_script_enabled=False)
    assert page.locator(".pair").count() == 4
    assert page.locator(".pair img:visible").count() == 6
    assert "script doesn't run here" in page.locator("noscript").inner_text()
    assert page.locator(".scripted:visible").count() == 0


def test_a_script_or_picture_from_elsewhere_is_refused(open_page, complaints):
    page = open_page(made_review())
    page.evaluate(
        """() => {
          window.refused = new Set();
          document.addEventListener("securitypolicyviolation", (event) => {
            window.refused.add(event.effectiveDirective);
          });
          new Image().src = "https://example.org/x.png";
          fetch("https://example.org/").catch(() => {});
          try {
            document.body.append(Object.assign(document.createElement("script"), { text: "1" }));
          } catch {
            window.refused.add("script");
          }
        }"""
    )
    page.wait_for_function("['img-src', 'connect-src', 'script'].every((it) => refused.has(it))")
    assert len(complaints) >= 3
    complaints.clear()
