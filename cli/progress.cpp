#include "cli/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>

#include "cli/interrupt.hpp"

namespace monge::cli {
namespace {
constexpr auto kEvery = std::chrono::milliseconds(500);
}

ProgressLine::ProgressLine(const Flags& flags)
    : terminal_(isatty(STDERR_FILENO)), shown_(terminal_ || flags.progress), next_(Clock::now()) {
  if (!flags.progress) next_ += 2 * kEvery;  // short work needs no line
}

ProgressLine::~ProgressLine() {
  if (terminal_ && width_ > 0) std::fprintf(stderr, "\r%*s\r", static_cast<int>(width_), "");
}

Exec ProgressLine::exec(const Flags& flags) {
  Exec out;
  out.device = parse_device(flags.device);
  out.threads = flags.threads;
  out.stop = &stop_flag();
  if (shown_)
    out.progress = [this](const Progress& progress) {
      show(progress);
      return true;
    };
  return out;
}

void ProgressLine::show(const Progress& progress) {
  const auto now = Clock::now();
  if (now < next_) return;
  next_ = now + kEvery;
  std::string line = stage_ + ": ";
  if (progress.entries > 1)
    line += fmt::format("{} of {}, ", progress.entries_done, progress.entries);
  line += fmt::format("iteration {}, pass {} {:3.0f} %", progress.iterations, progress.passes,
                      100 * progress.pass_fraction);
  if (progress.epsilon > 0) line += fmt::format(", epsilon {:.3g}", progress.epsilon);
  if (!std::isnan(progress.marginal_error))
    line += fmt::format(", error {:.2e}", progress.marginal_error);
  if (terminal_) {
    const std::size_t width = line.size();
    line = fmt::format("\r{:<{}}", line, std::max(width, width_));
    width_ = width;
  } else {
    line += '\n';
  }
  std::fputs(line.c_str(), stderr);
}
}  // namespace monge::cli
