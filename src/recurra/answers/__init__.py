"""What an answer is made of: parts of closed kinds, each of which shows itself in a terminal, as JSON and to the page.

| kind | class | what it is |
|---|---|---|
| `label` | `Label` | one label or several of a whole sequence, with the likeliest |
| `spans` | `Spans` | tags over tokens |
| `text` | `Text` | what is written behind a prompt |
| `pair` | `Pair` | a target beside its source, with other hypotheses and where the decoder looked |
| `choices` | `Choices` | blanks, and what may stand in them |
| `number` | `Number` | one number with its unit |
| `series` | `Series` | numbers in time: what was given, what is forecast, and a range around it |
| `picture` | `Picture` | grey or coloured pixels |
| `drawing` | `Drawing` | the lines that a pen draws |
| `roll` | `Roll` | which of some rows sound or act at each step |
| `tree` | `Tree` | a tree over tokens |
| `caption` | `Caption` | what is said of a picture, with other hypotheses and where in it each word looked |
| `transcript` | `Transcript` | what is said in a sound or written in a picture, symbol by symbol where it comes from |
"""

from recurra.answers.answer import Answer as Answer
from recurra.answers.answer import Part as Part
from recurra.answers.answer import Unknown as Unknown
from recurra.answers.answer import notes_of as notes_of
from recurra.answers.answer import one_line as one_line
from recurra.answers.caption import Caption as Caption
from recurra.answers.choices import Blank as Blank
from recurra.answers.choices import Choices as Choices
from recurra.answers.drawing import Drawing as Drawing
from recurra.answers.label import Label as Label
from recurra.answers.number import Number as Number
from recurra.answers.pair import Hypothesis as Hypothesis
from recurra.answers.pair import Pair as Pair
from recurra.answers.picture import Picture as Picture
from recurra.answers.roll import Roll as Roll
from recurra.answers.series import Series as Series
from recurra.answers.series import series_of as series_of
from recurra.answers.spans import Spans as Spans
from recurra.answers.text import Text as Text
from recurra.answers.transcript import Transcript as Transcript
from recurra.answers.tree import Tree as Tree

KINDS = (
    "label",
    "spans",
    "text",
    "pair",
    "choices",
    "number",
    "series",
    "picture",
    "drawing",
    "roll",
    "tree",
    "transcript",
    "caption",
)
"""All kinds of parts. The page draws each of them; another kind is not drawn."""
