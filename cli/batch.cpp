// monge batch: many pairs of clouds in one call, a report and potentials of each.
#include "monge/ot/batch.hpp"

#include <fmt/format.h>

#include <deque>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string_view>
#include <vector>

#include "cli/clouds.hpp"
#include "cli/commands.hpp"
#include "cli/interrupt.hpp"
#include "cli/progress.hpp"
#include "cli/report.hpp"
#include "io/atomic_file.hpp"
#include "io/npz.hpp"
#include "io/result_directory.hpp"

namespace monge::cli {
namespace {
namespace fs = std::filesystem;
constexpr const char* kBatchExamples =
    "PAIRS is a text file with a line for each pair: SOURCE, TARGET or SOURCE, TARGET, EPSILON, "
    "the "
    "files\nas for `monge solve`, relative to PAIRS; lines that begin with # and blank ones are "
    "skipped.\n\n"
    "Examples:\n"
    "  monge batch examples/data/pairs.txt --blur 0.1 --reach 0.5 --out transports\n"
    "  monge batch examples/data/pairs.txt --epsilon 0.01 --rho-target 1 --out transports --json\n"
    "\n"
    "Exit codes: 0 all converged, 1 some not (results are written), others as of `monge solve`.";
constexpr const char* kSummary = "summary.json";

struct BatchFlags : Flags {
  std::string pairs, out;
  bool force = false;
};

/// A line of PAIRS.
struct Pair {
  Flags flags;  // with its files, and its epsilon
  Files files;
};

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r";
  const auto first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) + 1 - first);
}

[[noreturn]] void refuse(const BatchFlags& flags, int line, const std::string& what) {
  throw IoError(fmt::format("[cli] {}, line {}: {}", flags.pairs, line, what));
}

std::vector<Pair> read_pairs(const BatchFlags& flags) {
  std::ifstream in(flags.pairs);
  if (!in) throw IoError(fmt::format("[cli] cannot read {}", flags.pairs));
  const fs::path beside = fs::path(flags.pairs).parent_path();
  std::vector<Pair> out;
  std::string text;
  for (int line = 1; std::getline(in, text); ++line) {
    check_stop();
    std::string_view rest = trimmed(text);
    if (rest.empty() || rest.starts_with('#')) continue;
    std::vector<std::string> fields;
    for (bool more = true; more;) {
      const auto comma = rest.find(',');
      fields.emplace_back(trimmed(rest.substr(0, comma)));
      more = comma != std::string_view::npos;
      if (more) rest.remove_prefix(comma + 1);
    }
    if (fields.size() < 2 || fields.size() > 3)
      refuse(flags, line,
             fmt::format("{} fields, wanted SOURCE, TARGET or SOURCE, TARGET, EPSILON",
                         fields.size()));
    Pair pair{flags, {}};
    pair.flags.source = (beside / fields[0]).string();
    pair.flags.target = (beside / fields[1]).string();
    if (fields.size() == 3) {
      double epsilon = 0;
      if (!CLI::detail::lexical_cast(fields[2], epsilon))
        refuse(flags, line, fmt::format("the epsilon '{}' is no number", fields[2]));
      pair.flags.epsilon = epsilon;
      pair.flags.blur.reset();
    }
    pair.files = read_files(pair.flags);
    out.push_back(std::move(pair));
  }
  if (out.empty()) throw IoError(fmt::format("[cli] {} names no pair", flags.pairs));
  return out;
}

/// "0012.json"
std::string file_of(std::size_t entry, const char* ending) {
  return fmt::format("{:04}{}", entry, ending);
}

template <class T>
Json report_of(const Pair& pair, const Problem<T>& problem, const SinkhornReport& result) {
  const Flags& flags = pair.flags;
  Json report = header("batch");
  report["problem"] = {
      {"source", flags.source},
      {"target", flags.target},
      {"cost", to_json(flags.ground_cost())},
      {"epsilon", flags.strength_of_entropy()},
      {"marginals", {to_json(problem.marginal_a()), to_json(problem.marginal_b())}},
      {"masses", {problem.mass_a(), problem.mass_b()}},
      {"points", {problem.n(), problem.m()}},
      {"type", sizeof(T) == 4 ? "float32" : "float64"}};
  report["options"] = options_of(flags);
  report["value"] = result.dual_value;
  report.update(to_json(result));
  return report;
}

/// Solves some of the pairs, all of one type, and writes what each has.
class Batch {
 public:
  Batch(const BatchFlags& flags, std::vector<Pair> pairs)
      : flags_(flags),
        pairs_(std::move(pairs)),
        directory_(flags.out, flags.force),
        rows_(pairs_.size()) {}

  int run() {
    std::vector<std::size_t> narrow, wide;
    for (std::size_t i = 0; i < pairs_.size(); ++i)
      (in_float(pairs_[i].files, pairs_[i].flags) ? narrow : wide).push_back(i);
    defer_signals();
    solve<float>(narrow, {});
    solve<double>(wide, {});
    return finish();
  }

 private:
  /// `begun`: results in float that ended at their floor, of the same entries.
  template <class T>
  void solve(const std::vector<std::size_t>& entries,
             const std::vector<const SinkhornResult<float>*>& begun) {
    if (entries.empty()) return;
    const Device device = parse_device(flags_.device);
    std::deque<Cloud<T>> clouds;  // which stay where they are
    std::vector<ProblemArgs<T>> args;
    for (const std::size_t i : entries) {
      const auto& flags = pairs_[i].flags;
      const auto& files = pairs_[i].files;
      const auto cloud = [&](const io::MeasureFile& file) -> const Cloud<T>& {
        return clouds.emplace_back(copy_of(file), device, flags.grid);
      };
      const Cloud<T>&a = cloud(files.source), &b = cloud(files.target);
      args.push_back({geometry_of(flags, a, b),
                      a.weights(),
                      b.weights(),
                      flags.marginal_source(),
                      flags.marginal_target(),
                      {.total_mass = {}, .mass_tolerance = mass_tolerance(files, flags.grid)}});
    }
    ProgressLine line(flags_);
    line.stage("batch");
    Exec exec = line.exec(flags_);
    const auto made = problems<T>(args, exec);
    std::vector<BatchEntry<T>> asked;
    for (std::size_t k = 0; k < entries.size(); ++k) {
      asked.push_back({&made[k], {}});
      pairs_[entries[k]].flags.fill(asked[k].options);
    }
    std::vector<SinkhornResult<T>> results;
    if constexpr (sizeof(T) == 8) {
      results = begun.empty() ? sinkhorn<T>(asked, exec) : sinkhorn(asked, begun, exec);
    } else {
      results = sinkhorn<T>(asked, exec);
      std::vector<std::size_t> again;
      std::vector<const SinkhornResult<float>*> from;
      for (std::size_t k = 0; k < entries.size(); ++k)
        if (goes_on(asked[k].options, results[k].report)) {
          again.push_back(entries[k]);
          from.push_back(&results[k]);
        }
      solve<double>(again, from);
    }
    for (std::size_t k = 0; k < entries.size(); ++k)
      if (rows_[entries[k]].is_null()) write(entries[k], made[k], results[k]);
  }

  /// Files are read once and may be solved in both types.
  static io::MeasureFile copy_of(const io::MeasureFile& file) {
    const auto copy = [](const io::Array& array) {
      io::Array out{array.shape, array.fortran_order, array.stored, {}};
      std::visit([&](const auto& values) { out.values = values.copy(); }, array.values);
      return out;
    };
    io::MeasureFile out{copy(file.points), {}};
    if (file.weights) out.weights = copy(*file.weights);
    return out;
  }

  template <class T>
  void write(std::size_t i, const Problem<T>& problem, const SinkhornResult<T>& result) {
    check_stop();
    const auto f = result.f.to(Device{}), g = result.g.to(Device{});
    const Files& files = pairs_[i].files;
    const auto shape_of = [&](const io::MeasureFile& file, std::int64_t size) {
      return flags_.grid ? file.points.shape : std::vector{size};
    };
    io::write_npz(directory_.file(file_of(i, ".npz")),
                  {{"f", {shape_of(files.source, f.size()), f.data()}},
                   {"g", {shape_of(files.target, g.size()), g.data()}}});
    const Json report = report_of(pairs_[i], problem, result.report);
    io::write_text(directory_.file(file_of(i, ".json")), to_text(report));
    Json row{{"report", file_of(i, ".json")}, {"potentials", file_of(i, ".npz")}};
    for (const char* field : {"source", "target", "epsilon", "points"})
      row[field] = report["problem"][field];
    for (const char* field : {"value", "status", "converged", "iterations", "passes",
                              "marginal_error", "transported_mass"})
      row[field] = report[field];
    rows_[i] = std::move(row);
    converged_ += result.report.converged;
  }

  int finish() {
    Json summary = header("batch");
    summary["pairs"] = flags_.pairs;
    summary["options"] = options_of(flags_);
    summary["problems"] = rows_.size();
    summary["converged"] = converged_;
    summary["entries"] = rows_;
    io::write_text(directory_.file(kSummary), to_text(summary));
    check_stop();
    directory_.publish(earlier());
    print(flags_.json ? to_text(summary)
                      : fmt::format("{} of {} pairs converged\nresults  {}\n", converged_,
                                    rows_.size(), flags_.out));
    return converged_ == rows_.size() ? kOk : kNotConverged;
  }

  /// The summary, and what an earlier batch may have left beside it.
  std::vector<std::string> earlier() const {
    std::vector<std::string> out{kSummary};
    if (!fs::is_directory(flags_.out)) return out;
    for (const auto& entry : fs::directory_iterator(flags_.out)) {
      const std::string stem = entry.path().stem().string(),
                        ending = entry.path().extension().string();
      if ((ending == ".json" || ending == ".npz") && stem.size() >= 4 &&
          stem.find_first_not_of("0123456789") == std::string::npos)
        out.push_back(entry.path().filename().string());
    }
    return out;
  }

  const BatchFlags& flags_;
  std::vector<Pair> pairs_;
  io::ResultDirectory directory_;
  std::vector<Json> rows_;
  std::size_t converged_ = 0;
};
}  // namespace

void add_batch(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("batch", "Transport many pairs of clouds");
  auto flags = std::make_shared<BatchFlags>();
  command->add_option("PAIRS", flags->pairs, "Text file that names the clouds, a pair on each line")
      ->required()
      ->option_text(" ");
  add_flags(*command, *flags);
  command
      ->add_option("--out", flags->out,
                   "New or empty directory for summary.json and, of pair K (from 0000), K.json "
                   "with its report and K.npz with its potentials f and g")
      ->required()
      ->option_text("DIRECTORY")
      ->group(kResults);
  command->add_flag("--force", flags->force, "Replace the results in --out")
      ->option_text(" ")
      ->group(kResults);
  command->footer(kBatchExamples);
  command->callback([flags, &exit_code] { exit_code = Batch(*flags, read_pairs(*flags)).run(); });
}
}  // namespace monge::cli
