# A thin front: the logic is in tools/, one script a target.
.PHONY: setup demo test bench compare lint format sanitize conformance soak gpu-build gpu-check

setup:    ; @tools/setup.sh
demo:     ; @tools/demo.sh
test:     ; @tools/test.sh
bench:    ; @tools/bench.sh
# Solves of many shapes beside every peer, hours; stopped, the same command goes on.
compare:  ; @tools/compare.sh --grid
lint:     ; @tools/lint.sh
format:   ; @tools/format.sh
sanitize: ; @tools/sanitize.sh
soak:     ; @tools/soak.sh
# POT_SOURCE and GEOMLOSS_SOURCE name checkouts, whose tests run too.
conformance: ; @tools/conformance.sh
# On a machine with nvcc, then on one with a GPU: tools/gpu_check.sh says what else it runs.
gpu-build: ; @tools/gpu_build.sh
gpu-check: ; @tools/gpu_check.sh --tests
