#!/usr/bin/env bash
# Trains, evaluates and predicts on drawn pictures. `make demo` runs it; it needs no network.
set -euo pipefail
cd "$(dirname "$0")/.."

run=runs/demo
pictures=runs/demo-pictures

step() {
    printf '\n$ %s\n' "$*"
    "$@"
}

# The demo owns these two folders and recreates them each time.
rm -rf "$run" "$pictures"

step pawsure train sample --out "$run"
step pawsure evaluate "$run/model.onnx" sample
python examples/draw_pictures.py "$pictures"
step pawsure predict "$pictures" --model "$run/model.onnx"

cat <<END

Results
  $run/model.onnx    the model, in one file
  $run/report.html   the report: open it in a browser
  $run/metrics.json  the figures, with intervals
  $run/history.csv   every epoch
  $run/recipe.toml   the complete recipe, to train again
  $pictures/     the pictures just classified; they were not trained on

Now with photographs of your own, one folder per class:
  .venv/bin/pawsure train my-folder --out runs/mine
  .venv/bin/pawsure predict holiday.jpg --model runs/mine/model.onnx
  .venv/bin/pawsure --help
END
