from __future__ import annotations

from pawsure.cli import screen
from pawsure.wording import printable


def test_answers_and_notes_go_apart(capsys):
    screen.answer("cat")
    screen.answer_json({"a": 1})
    screen.note("one picture")
    assert capsys.readouterr() == ('cat\n{"a": 1}\n', "one picture\n")


def test_next_commands_can_be_pasted(capsys):
    screen.next_command("To use it", "predict", "my photos", "--model", "m.onnx")
    assert capsys.readouterr().err == "To use it: pawsure predict 'my photos' --model m.onnx\n"


def test_names_cannot_move_the_cursor():
    assert printable("a\x1b[2Jb\n.jpg") == r"a\x1b[2Jb\n.jpg"
    assert printable("Käse 猫.jpg") == "Käse 猫.jpg"
