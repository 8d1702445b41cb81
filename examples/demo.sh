#!/usr/bin/env bash
# The main job on drawn pictures, as `make demo` runs it; needs no network and no photographs.
set -euo pipefail
cd "$(dirname "$0")/.."

run=runs/demo
pictures=runs/demo-pictures

step() {
    printf '\n$ %s\n' "$*"
    "$@"
}

# The demo owns these two folders, and starts over each time.
rm -rf "$run" "$pictures"

step pawsure train sample --weights pets --out "$run"
step pawsure evaluate "$run/model.onnx" sample
python examples/draw_pictures.py "$pictures"
step pawsure predict "$pictures" --model "$run/model.onnx"

cat <<END

What is where
  $run/model.onnx    the model: one file that holds everything
  $run/report.html   all about it on one page: open it in a browser
  $run/metrics.json  how good it is, with intervals
  $run/history.csv   every epoch of the training
  $run/recipe.toml   what was done, to do it again
  $pictures/     the pictures just answered: drawings that training never saw

These were drawings. With photographs of your own, a folder for each class:
  .venv/bin/pawsure train my-folder --weights pets --out runs/mine
  .venv/bin/pawsure predict holiday.jpg --model runs/mine/model.onnx
  .venv/bin/pawsure --help
END
