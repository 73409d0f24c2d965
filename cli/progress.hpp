// One line on standard error that tells where long work stands.
#pragma once
#include <chrono>
#include <string>

#include "cli/flags.hpp"
#include "monge/core/exec.hpp"

namespace monge::cli {
class ProgressLine {
 public:
  /// Shown where standard error is a terminal, or where --progress asks.
  explicit ProgressLine(const Flags& flags);
  /// Takes the line off a terminal.
  ~ProgressLine();

  /// How a command runs: its threads, this line and the stop flag.
  Exec exec(const Flags& flags);
  /// What is being done, from now on.
  void stage(std::string name) { stage_ = std::move(name); }

 private:
  void show(const Progress& progress);

  using Clock = std::chrono::steady_clock;
  bool terminal_, shown_;
  std::string stage_ = "solve";
  Clock::time_point next_;
  std::size_t width_ = 0;  // of the line on the terminal now
};
}  // namespace monge::cli
