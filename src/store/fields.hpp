// The fields of a solution's file by their names, and the numbers that have the names of what they
// are in a report.
#pragma once
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "io/npz.hpp"
#include "io/zip.hpp"
#include "monge/core/error.hpp"

namespace monge {
template <class T>
constexpr const char* kType = sizeof(T) == 4 ? "float32" : "float64";

// The scalars of a report and of the options, each under its name.
template <class Report, class Field>
void for_each_number(Report& r, const Field& field) {
  field("iterations", r.iterations);
  field("passes", r.passes);
  field("marginal_error", r.marginal_error);
  field("residual_a", r.residual_a);
  field("residual_b", r.residual_b);
  field("dual_value", r.dual_value);
  field("transported_mass", r.transported_mass);
  field("duality_gap", r.duality_gap);
  field("predicted_floor", r.predicted_floor);
  field("weight_error", r.weight_error);
  field("fast_passes", r.fast_passes);
  field("absorbed", r.absorbed);
  field("mass_level", r.mass_level);
  field("omega", r.omega);
}
// Those of a solve by trees: in files of such solves alone.
template <class Report, class Field>
void for_each_tree_number(Report& r, const Field& field) {
  field("truncation", r.truncation);
  field("kept", r.kept);
  field("coarse_passes", r.coarse_passes);
  field("verified", r.verified);
}
template <class Options, class Field>
void for_each_option(Options& o, const Field& field) {
  field("epsilon", o.epsilon);
  field("tolerance", o.tolerance);
  field("max_iterations", o.max_iterations);
  field("check_every", o.check_every);
  field("translate", o.translate);
  field("kernel_cache", o.kernel_cache);
}
constexpr std::int64_t kTraceColumns = 8;
template <class Check, class Field>
void for_each_column(Check& c, const Field& field) {
  field(c.iterations);
  field(c.passes);
  field(c.epsilon);
  field(c.marginal_error);
  field(c.residual_a);
  field(c.residual_b);
  field(c.dual_value);
  field(c.transported_mass);
}

// What a writer holds until the file is written; addresses stay.
class Fields {
 public:
  void number(const std::string& key, double value) {
    array(key, {}, kept(std::vector<double>{value}));
  }
  void numbers(const std::string& key, std::vector<double> values,
               std::vector<std::int64_t> shape) {
    array(key, std::move(shape), kept(std::move(values)));
  }
  void integer(const std::string& key, std::int64_t value) {
    integers_.push_back(std::make_unique<std::int64_t>(value));
    array(key, {}, integers_.back().get());
  }
  void text(const std::string& key, const std::string& value) {
    texts_.push_back(std::make_unique<std::string>(value));
    arrays_.push_back({key, io::ArrayView(*texts_.back())});
  }
  template <class T>
  void array(const std::string& key, std::vector<std::int64_t> shape, const T* data) {
    arrays_.push_back({key, {std::move(shape), data}});
  }
  const std::vector<io::NamedArray>& arrays() const { return arrays_; }

 private:
  const double* kept(std::vector<double> values) {
    numbers_.push_back(std::make_unique<std::vector<double>>(std::move(values)));
    return numbers_.back()->data();
  }
  std::vector<std::unique_ptr<std::vector<double>>> numbers_;
  std::vector<std::unique_ptr<std::int64_t>> integers_;
  std::vector<std::unique_ptr<std::string>> texts_;
  std::vector<io::NamedArray> arrays_;
};

/// A file's fields by name.
class Reader {
 public:
  explicit Reader(const std::string& path) : archive_(path) {}

  bool has(const std::string& key) const { return archive_.find(key + ".npy") != nullptr; }
  io::Array array(const std::string& key) const {
    return archive_.read(entry(key), [](io::Source& source) { return io::read_npy(source); });
  }
  std::string text(const std::string& key) const {
    return archive_.read(entry(key), [](io::Source& source) { return io::read_npy_text(source); });
  }
  std::vector<double> numbers(const std::string& key) const {
    const io::Array found = array(key);
    return std::visit([](const auto& v) { return std::vector<double>(v.begin(), v.end()); },
                      found.values);
  }
  std::vector<double> numbers(const std::string& key, std::size_t count) const {
    auto out = numbers(key);
    if (out.size() != count)
      fail(fmt::format("{} holds {} numbers, wanted {}", key, out.size(), count));
    return out;
  }
  double number(const std::string& key) const { return numbers(key, 1)[0]; }
  std::int64_t integer(const std::string& key) const { return whole(key, number(key)); }
  std::vector<std::int64_t> integers(const std::string& key, std::size_t count) const {
    std::vector<std::int64_t> out;
    for (const double value : numbers(key, count)) out.push_back(whole(key, value));
    return out;
  }
  std::int64_t count(const std::string& key, std::int64_t least) const {
    const std::int64_t value = integer(key);
    if (value < least) fail(fmt::format("{} is {}, wanted at least {}", key, value, least));
    return value;
  }
  /// Of `rows` rows and, where it is no vector, `cols` columns.
  template <class T>
  Buffer<T> values(const std::string& key, std::int64_t rows, std::int64_t cols = 0) const {
    io::Array found = array(key);
    const auto wanted = cols > 0 ? std::vector{rows, cols} : std::vector{rows};
    auto* const out = std::get_if<Buffer<T>>(&found.values);
    if (!out || found.shape != wanted || found.fortran_order)
      fail(fmt::format("{} has shape {} of {}, wanted {} of {}", key, io::to_string(found.shape),
                       found.stored, io::to_string(wanted), kType<T>));
    return std::move(*out);
  }
  template <class T>
  Buffer<T> optional(const std::string& key, std::int64_t rows, std::int64_t cols = 0) const {
    return has(key) ? values<T>(key, rows, cols) : Buffer<T>();
  }
  [[noreturn]] void fail(const std::string& why) const {
    throw IoError(fmt::format("[store] {}: {}", archive_.name(), why));
  }

 private:
  std::int64_t whole(const std::string& key, double value) const {
    if (!(std::abs(value) <= 0x1p53 && value == std::floor(value)))
      fail(fmt::format("{} is {}, wanted an integer", key, value));
    return static_cast<std::int64_t>(value);
  }
  const io::ZipEntry& entry(const std::string& key) const {
    const auto* const found = archive_.find(key + ".npy");
    if (!found) fail(fmt::format("it has no '{}', so it is no solution that monge saved", key));
    return *found;
  }
  io::ZipReader archive_;
};

}  // namespace monge
