# A thin front: the logic is in tools/, one script a target.
.PHONY: setup demo test bench lint format sanitize

setup:    ; @tools/setup.sh
demo:     ; @tools/demo.sh
test:     ; @tools/test.sh
bench:    ; @tools/bench.sh
lint:     ; @tools/lint.sh
format:   ; @tools/format.sh
sanitize: ; @tools/sanitize.sh
