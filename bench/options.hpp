// The command line of the benchmarks: which cases, on what, and how an error ends a program.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "monge/core/error.hpp"
#include "monge/core/exec.hpp"

namespace monge::bench {
struct Options {
  std::vector<std::int64_t> sizes;
  std::vector<int> dims{1, 2, 3, 8, 64, 512};
  std::vector<std::string> types{"float", "double"}, only;
  bool quick = false;
  Exec exec;

  std::vector<std::int64_t> sizes_or_default() const {
    if (!sizes.empty()) return sizes;
    return quick ? std::vector<std::int64_t>{10000}
                 : std::vector<std::int64_t>{1000, 10000, 100000};
  }
  template <class T>
  bool wants() const {
    return std::find(types.begin(), types.end(), sizeof(T) == 4 ? "float" : "double") !=
           types.end();
  }
  /// "top_k" is the name of top_k(32).
  bool wants(const std::string& row) const {
    return only.empty() ||
           std::find(only.begin(), only.end(), row.substr(0, row.find('('))) != only.end();
  }
};

inline void add_device(CLI::App& app, Exec& exec) {
  app.add_option_function<std::string>(
         "--device", [&exec](const std::string& name) { exec.device = parse_device(name); },
         "cpu (default), cuda or cuda:INDEX")
      ->option_text("NAME");
}

/// `rows` are the names that --only takes.
inline void add_cases(CLI::App& app, Options& options, const std::vector<std::string>& rows) {
  const auto list = [&](const char* name, auto& values, const char* help) {
    return app.add_option(name, values, help)->delimiter(',')->option_text("LIST");
  };
  list("--n", options.sizes, "n = m (default 1000,10000,100000; with --quick 10000)")
      ->check(CLI::Range(64, 100000000));
  list("--d", options.dims, "Dimensions (default 1,2,3,8,64,512)")->check(CLI::Range(1, 100000));
  list("--type", options.types, "float, double (default both)")
      ->check(CLI::IsMember({"float", "double"}));
  list("--only", options.only, "These rows alone")->check(CLI::IsMember(rows));
  app.add_flag("--quick", options.quick, "n = 10000 alone, and less time for each row");
  app.add_option("--threads", options.exec.threads,
                 "0 (default): what the machine grants this process")
      ->check(CLI::Range(0, 4096))
      ->option_text("COUNT");
}

/// What main returns.
template <class Run>
int parse_and_run(CLI::App& app, int count, char** words, const Run& run) {
  try {
    app.parse(count, words);
    run();
    return 0;
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
}  // namespace monge::bench
