"""Whether an answer used a chunk: held against what people said of the same passages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks.anatomy import SLOW, slow_answer
from hypothesis import given, settings
from hypothesis import strategies as st

from ragmeter.anatomy.fates import cited, fingerprint, judge, near_duplicates

LABELLED = Path(__file__).parent.parent / "data" / "used_chunks"

REFERENCE = {
    "clapnq_sentences": 0.932,
    "clapnq_passages": 0.957,
    "clapnq_hard": 0.951,
    "expertqa_answers": 0.964,
    "expertqa_claims": 0.827,
    "expertqa_answers_posthoc": 0.871,
    "expertqa_claims_posthoc": 0.583,
}
"""F1 of the rule these sets were published with; the last two are no RAG: the answers are older than the passages."""


def verdicts(answer: str, question: str, *texts: str) -> tuple[bool | None, ...]:
    return judge(answer, question, [fingerprint(text) for text in texts])


@pytest.mark.parametrize("name", REFERENCE)
def test_verdicts_agree_with_people(name):
    """On each labelled set the F1 is no more than a hundredth below the reference."""
    right = wrong = missed = 0
    for line in (LABELLED / f"{name}.jsonl").read_text("utf-8").splitlines():
        case = json.loads(line)
        found = verdicts(case["answer"], case["question"], *(chunk["text"] for chunk in case["chunks"]))
        for verdict, chunk in zip(found, case["chunks"], strict=True):
            right += bool(verdict) and chunk["used"]
            wrong += bool(verdict) and not chunk["used"]
            missed += not verdict and chunk["used"]
    assert 2 * right / (2 * right + wrong + missed) >= REFERENCE[name] - 0.01


PARIS = "The Eiffel Tower was completed in March 1889 by the company of Gustave Eiffel for the World's Fair in Paris."
ROME = "The Colosseum in Rome could hold fifty thousand spectators, who watched gladiators fight under a huge awning."


def test_an_answer_that_rests_on_one_chunk_uses_that_one():
    """Of two chunks the one whose facts the answer gives is used, the other is not, in whatever order they stand."""
    answer = "It was completed in March 1889 by Gustave Eiffel's company for the World's Fair."
    assert verdicts(answer, "When was the Eiffel Tower built?", PARIS, ROME) == (True, False)
    assert verdicts(answer, "When was the Eiffel Tower built?", ROME, PARIS) == (False, True)


@pytest.mark.parametrize(
    "answer", ["", "Yes.", "No, it is not.", "42", "I do not know.", "Oui, c'est ça.", "是的。", "無料です。"]
)
def test_short_answers_tell_nothing(answer):
    """An answer without enough words of its own leaves the fate of every chunk unknown, not unused."""
    assert verdicts(answer, "Is the tower in Paris?", PARIS, ROME) == (None, None)


@pytest.mark.parametrize(
    "answer", ["In March 1889. By Eiffel's company.", "- March 1889\n- Gustave Eiffel\n- Paris", "1889; World's Fair."]
)
def test_an_answer_of_short_clauses_is_judged_as_a_whole(answer):
    """Where no sentence has enough words of its own the whole answer may: two clauses tell which chunk they rest on."""
    assert verdicts(answer, "When was the Eiffel Tower built, and by whom?", PARIS, ROME) == (True, False)


def test_a_chunk_too_long_to_be_read_to_its_end_is_not_called_unused():
    """An answer that does not draw on the beginning of a chunk may draw on the rest of it."""
    filler = "The tide tables are printed anew every spring, and the lock keepers get them first. " * 1_000
    answer = "It was completed in March 1889 by Gustave Eiffel's company for the World's Fair."
    assert verdicts(answer, "When was it built?", PARIS + filler, filler, ROME) == (True, None, False)


def test_a_chunk_that_only_repeats_the_question_is_not_used():
    """Words that the answer takes up from the question speak for no chunk."""
    question = "What did the annual report of the harbour authority say about container traffic in the northern basin?"
    echo = "The annual report of the harbour authority: container traffic in the northern basin. Table of contents."
    fact = "Volumes grew by nine percent to 2.1 million units because two Danish lines moved their hub there."
    answer = (
        "The annual report of the harbour authority said that volumes grew by nine percent to 2.1 million units "
        "because two Danish lines moved their hub."
    )
    assert verdicts(answer, question, echo, fact) == (False, True)


@pytest.mark.parametrize(
    ("question", "answer", "used", "unused"),
    [
        (
            "保修期有多长?",
            "所有电池的保修期为三十六个月,但必须在官方服务中心登记序列号。",
            "本公司生产的所有电池享有三十六个月保修,购买后须在官方服务中心登记产品序列号。",
            "仓库每周二和周五上午补货,司机需要提前一天预约卸货窗口。",
        ),
        (
            "Wie lange gilt die Garantie?",
            "Die Batterien haben sechsunddreißig Monate Garantie, sofern die Seriennummer registriert wurde.",
            "Für Batterien gibt es sechsunddreißig Monate Garantie, Voraussetzung ist die registrierte Seriennummer.",
            "Das Lager wird dienstags beliefert, Fahrer melden sich am Vortag bei der Disposition an.",
        ),
        (
            "كم مدة الضمان؟",
            "مدة ضمان البطاريات ستة وثلاثون شهرا بشرط تسجيل الرقم التسلسلي في مركز الخدمة.",
            "تشمل البطاريات ضمانا لمدة ستة وثلاثين شهرا بعد تسجيل الرقم التسلسلي في مركز الخدمة المعتمد.",
            "يتم تزويد المستودع بالبضائع صباح كل ثلاثاء ويحجز السائقون موعد التفريغ قبل يوم.",
        ),
    ],
    ids=["Chinese", "German", "Arabic"],
)
def test_other_languages_are_judged_too(question, answer, used, unused):
    """The rule needs no English: a made-up pair of passages is told apart in each of these."""
    assert verdicts(answer, question, used, unused) == (True, False)


@pytest.mark.parametrize("reformat", [json.dumps, lambda text: json.dumps(json.dumps(text)), str.upper])
def test_a_template_does_not_change_the_verdict(reformat):
    """A chunk is judged as it stands in the prompt: escaped as JSON, or in capitals, it is the same chunk."""
    answer = "It was completed in March 1889 by Gustave Eiffel's company for the World's Fair."
    found = verdicts(
        answer, "When was it built?", reformat(PARIS + "\n\n" + "\u2013 see \u201chistory\u201d"), reformat(ROME)
    )
    assert found == (True, False)


def test_escaped_chinese_is_judged_as_chinese():
    """A Chinese chunk that a template wrote in escapes of JSON, all in ASCII, is the same chunk."""
    used = "本公司生产的所有电池享有三十六个月保修,购买后须在官方服务中心登记产品序列号。"
    unused = "仓库每周二和周五上午补货,司机需要提前一天预约卸货窗口。"
    answer = "所有电池的保修期为三十六个月,但必须在官方服务中心登记序列号。"
    assert verdicts(answer, "保修期有多长?", json.dumps(used), json.dumps(unused)) == (True, False)


@pytest.mark.parametrize(
    ("question", "answer", "used", "unused"),
    [
        (
            "返品はできますか?",
            "未使用の商品であれば、到着から十四日以内に返品することができます。送料はお客様の負担となりますのでご了承ください。",
            "商品の到着後十四日以内で未使用の場合に限り返品することができます。返送の送料はお客様負担となります。",
            "ポイントは一年間使用することができます。期限を過ぎたポイントは失効となりますのでご了承ください。",
        ),
        (
            "คืนสินค้าได้ไหม",
            "สินค้าที่ยังไม่ได้ใช้สามารถคืนได้ภายในสิบสี่วันหลังได้รับ โดยลูกค้าเป็นผู้รับผิดชอบค่าจัดส่ง",
            "ลูกค้าสามารถคืนสินค้าที่ยังไม่ได้ใช้ภายในสิบสี่วันนับจากวันที่ได้รับสินค้า ค่าจัดส่งคืนเป็นความรับผิดชอบของลูกค้า",
            "คะแนนสะสมมีอายุหนึ่งปีและสามารถใช้แทนเงินสดได้เมื่อชำระเงิน",
        ),
    ],
    ids=["Japanese", "Thai"],
)
def test_set_phrases_of_scripts_without_blanks_are_no_use(question, answer, used, unused):
    """Endings and short runs of characters, which any two such texts have in common, do not make a chunk used."""
    assert verdicts(answer, question, used, unused) == (True, False)


def test_near_duplicates_are_known():
    """A chunk that says nearly the same as an earlier one is named as its duplicate, another one is not."""
    longer = " ".join((PARIS, ROME, "Both draw millions of visitors every summer and are repaired all the time."))
    prints = [fingerprint(text) for text in (longer * 3, ROME, (longer * 3).replace("March", "April"))]
    assert near_duplicates(prints) == (None, None, 0)


@pytest.mark.parametrize("length", [5, 20, 60, 70, 100, 200, 1000])
def test_no_copy_goes_unseen(length):
    """Of copies of any length each names the first, whatever the sample by which they are compared."""
    for start in range(50):
        copy = fingerprint(" ".join(f"w{start}x{number}"[:6] for number in range(length)))
        assert near_duplicates([copy, copy, copy]) == (None, 0, 0)


@pytest.mark.parametrize(
    ("answer", "numbers"),
    [
        ("It is so [3].", {3}),
        ("Both hold [1, 2] and more [4][5].", {1, 2, 4, 5}),
        ("See [2-4] and [^7].", {2, 3, 4, 7}),
        ("Nach dem Gesetz【3†source】 gilt das.", {3}),
        ("As stated (Source 7), [Document 2] and [doc9].", {2, 7, 9}),
        ("rows[0] = table[12]", set()),
        ("[sic] in [2019] they wrote [12](link)", set()),
        ("No marker at all, not even in f(x)[1].", set()),
        ("The sky is blue[1][2]. Grass is green[3], too.", {1, 2, 3}),
        ("据说[3]。これは本当です[1][2]。", {1, 2, 3}),
        ("(Document 1, Document 2) and (Sources 3 and 4), [Doc 5, Doc 6]", {1, 2, 3, 4, 5, 6}),
        ("Sources: [1], [2]", {1, 2}),
        ("Call `items[3]` or:\n```\nprint([4])\n```\nas said [5].", {5}),
        ('{"rows": [1, 2]} and sizes = [3, 4] and grid[i][6]', set()),
    ],
)
def test_citation_markers(answer, numbers):
    """The numbers of citation markers are read; indices, years and links are none."""
    assert cited(answer) == numbers


@pytest.mark.parametrize("name", SLOW)
def test_markers_made_slow_are_read(name):
    """What is made to be slow to read names what it names; `benchmarks/anatomy.py` has how the time grows."""
    assert cited(slow_answer(name, 2_000)) <= {1}
    assert cited(f"That is so [7]. {slow_answer(name, 10)}") >= {7}


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300), st.text(max_size=80), st.lists(st.text(max_size=300), max_size=6))
def test_any_text_gets_one_verdict_a_chunk(answer, question, texts):
    """Whatever the texts hold, there is one verdict for each chunk, and their order does not matter."""
    found = verdicts(answer, question, *texts)
    assert len(found) == len(texts)
    assert verdicts(answer, question, *reversed(texts)) == tuple(reversed(found))
    assert len(near_duplicates([fingerprint(text) for text in texts])) == len(texts)
    assert all(0 <= number <= 999 for number in cited(answer))
