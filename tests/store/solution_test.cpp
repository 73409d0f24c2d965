#include "monge/store/solution.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "../io/support.hpp"
#include "io/npz.hpp"
#include "io/zip.hpp"
#include "monge/info.hpp"
#include "monge/ot/reference.hpp"
#include "support/grids.hpp"
#include "support/solved.hpp"

namespace monge {
namespace {
using io::testing::io_error;
using testing::random_clouds;
using testing::refusal;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <class T>
class Saved : public ::testing::Test {
 protected:
  Saved() {
    std::string name = (std::filesystem::temp_directory_path() / "monge_store_XXXXXX").string();
    directory_ = mkdtemp(name.data());
    path_ = (directory_ / "solution.npz").string();
  }
  ~Saved() override { std::filesystem::remove_all(directory_); }

  SavedSolution<T> loaded() const { return std::get<SavedSolution<T>>(load(path_)); }
  static SinkhornOptions options(double epsilon) {
    SinkhornOptions out;
    out.epsilon = epsilon;
    out.tolerance = 1e-5;
    return out;
  }

  std::filesystem::path directory_;
  std::string path_;
};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Saved, Scalars);

template <class T>
void expect_same_bits(const Buffer<T>& got, const Buffer<T>& want, const char* what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  EXPECT_EQ(std::memcmp(got.data(), want.data(), got.size() * sizeof(T)), 0) << what;
}

// L3: the plan comes back bit for bit, and so does what is known of the solve.
TYPED_TEST(Saved, RestoresPlansBitForBit) {
  using T = TypeParam;
  Exec exec;
  struct Case {
    Cost cost;
    Marginal a, b;
    std::optional<double> total;
  };
  const std::vector<Case> cases{{SquaredEuclidean{}, Balanced{}, Balanced{}, {}},
                                {Power{1.5}, KL{0.7}, TV{0.3}, {}},
                                {Cosine{}, KL{0.7}, Balanced{}, {}},
                                {Euclidean{}, TV{kInfinity}, TV{kInfinity}, 0.4}};
  for (const auto& [cost, a, b, total] : cases) {
    SCOPED_TRACE(cost_name(cost));
    const auto clouds = random_clouds<T>(23, 37, 3, 1, 1.3, 1.3);
    const auto problem = clouds.problem(a, b, cost, {.total_mass = total});
    const auto how = this->options(0.05);
    const auto result = sinkhorn(problem, how, exec);
    save(this->path_, problem, result, how);
    const auto got = this->loaded();
    expect_same_bits(got.result.f, result.f, "f");
    expect_same_bits(got.result.g, result.g, "g");
    const auto restored = got.problem();
    EXPECT_EQ(restored.mass_a(), problem.mass_a());
    EXPECT_EQ(to_string(restored.marginal_a()), to_string(problem.marginal_a()));
    EXPECT_EQ(to_string(restored.marginal_b()), to_string(problem.marginal_b()));
    const Plan<T> before(problem, result), after(restored, got.result);
    expect_same_bits(after.dense(exec), before.dense(exec), "plan");
    EXPECT_EQ(after.value(exec), before.value(exec));
    const SinkhornReport &r = got.result.report, &want = result.report;
    EXPECT_EQ(r.status, want.status);
    EXPECT_EQ(r.converged, want.converged);
    EXPECT_EQ(r.iterations, want.iterations);
    EXPECT_EQ(r.passes, want.passes);
    EXPECT_EQ(r.epsilon, want.epsilon);
    EXPECT_EQ(r.marginal_error, want.marginal_error);
    EXPECT_EQ(r.dual_value, want.dual_value);
    EXPECT_EQ(r.duality_gap, want.duality_gap);
    EXPECT_EQ(r.mass_level, want.mass_level);
    ASSERT_EQ(r.trace.size(), want.trace.size());
    EXPECT_EQ(r.trace.back().residual_b, want.trace.back().residual_b);
    EXPECT_EQ(got.options.tolerance, how.tolerance);
    EXPECT_EQ(got.version, version());
    EXPECT_EQ(got.instruction_set, info().instruction_set);
  }
}

TYPED_TEST(Saved, StartsAnotherSolve) {
  using T = TypeParam;
  Exec exec;
  const auto clouds = random_clouds<T>(40, 30, 2, 2);
  const auto problem = clouds.problem(KL{1}, KL{1});
  const auto how = this->options(0.05);
  save(this->path_, problem, sinkhorn(problem, how, exec), how);
  const auto got = this->loaded();
  const auto again =
      sinkhorn(problem, how, exec, Start<T>{got.result.f.view(), got.result.g.view()});
  EXPECT_TRUE(again.report.converged);
  EXPECT_EQ(again.report.iterations, 1);
}

TYPED_TEST(Saved, PointsThatAreNotStoredAreGivenAndChecked) {
  using T = TypeParam;
  Exec exec;
  auto clouds = random_clouds<T>(9, 7, 3, 3);
  const auto problem = clouds.problem(KL{1}, KL{1});
  const auto how = this->options(0.1);
  const auto result = sinkhorn(problem, how, exec);
  save(this->path_, problem, result, how, {.points = false});
  const auto got = this->loaded();
  EXPECT_EQ(got.x.size(), 0);
  const ProblemArrays<T> given{.x = clouds.source(),
                               .y = clouds.target(),
                               .C = {},
                               .a = clouds.source_weights(),
                               .b = clouds.target_weights()};
  const auto restored = got.problem(given);
  expect_same_bits(Plan<T>(restored, got.result).dense(exec), Plan<T>(problem, result).dense(exec),
                   "plan");
  // The same values in another layout are the same points.
  std::vector<T> columns(9 * 3);
  for (int i = 0; i < 9; ++i)
    for (int k = 0; k < 3; ++k) columns[k * 9 + i] = clouds.x[i * 3 + k];
  auto other = given;
  other.x = {columns.data(), 9, 3, 1, 9};
  got.problem(other);

  auto missing = given;
  missing.y = {};
  EXPECT_EQ(refusal([&] { got.problem(missing); }).argument, "y");
  clouds.b[3] = std::nextafter(clouds.b[3], T(2));
  const auto wrong = refusal([&] { got.problem(given); });
  EXPECT_EQ(wrong.argument, "b");
  EXPECT_TRUE(wrong.says("is another than the one that")) << wrong.message;
}

TYPED_TEST(Saved, CostMatricesAreAskedForAgain) {
  using T = TypeParam;
  Exec exec;
  const auto C = testing::random_vector<T>(8 * 6, 4, 0);
  const Problem<T> problem(CostMatrix<T>{{C.data(), 8, 6}}, {}, {}, Balanced{}, Balanced{});
  const auto how = this->options(0.1);
  const auto result = sinkhorn(problem, how, exec);
  save(this->path_, problem, result, how);
  const auto got = this->loaded();
  EXPECT_EQ(refusal([&] { got.problem(); }).argument, "C");
  const auto restored = got.problem({.x = {}, .y = {}, .C = {C.data(), 8, 6}, .a = {}, .b = {}});
  expect_same_bits(Plan<T>(restored, got.result).dense(exec), Plan<T>(problem, result).dense(exec),
                   "plan");
}

TYPED_TEST(Saved, ReferencesComeBack) {
  using T = TypeParam;
  Exec exec;
  const auto clouds = random_clouds<T>(9, 7, 2, 5);
  const auto problem = clouds.problem(KL{1}, KL{1});
  const auto r_a = testing::random_vector<T>(9, 5, 7, 0.5, 2),
             r_b = testing::random_vector<T>(7, 5, 8, 0.5, 2);
  const VectorView<const T> on_a(r_a.data(), 9), on_b(r_b.data(), 7);
  const auto how = this->options(0.1);
  const auto referenced = with_reference(problem, how.epsilon, on_a, on_b);
  const auto result = sinkhorn(*referenced.problem, how, exec);
  save<T>(this->path_, problem, result, how, {}, {"custom", on_a, on_b});
  const auto got = this->loaded();
  EXPECT_EQ(got.reference, "custom");
  const auto restored = got.problem();
  const auto again =
      with_reference(restored, got.options.epsilon, got.reference_a.view(), got.reference_b.view());
  expect_same_bits(Plan<T>(*again.problem, got.result).dense(exec),
                   Plan<T>(*referenced.problem, result).dense(exec), "plan");
}

TYPED_TEST(Saved, LatticesComeBack) {
  using T = TypeParam;
  Exec exec;
  for (const auto& grids : testing::all_grids<T>()) {
    const auto problem = grids.on_lattice(KL{0.7}, KL{0.4});
    const auto how = this->options(0.05);
    const auto result = sinkhorn(problem, how, exec);
    save(this->path_, problem, result, how);
    const auto got = this->loaded();
    const auto restored = got.problem();
    const auto& lattice = std::get<Lattice<T>>(restored.geometry());
    EXPECT_EQ(lattice.periodic, grids.lattice.periodic);
    EXPECT_EQ(lattice.source.spacing, grids.lattice.source.spacing);
    const Plan<T> before(problem, result), after(restored, got.result);
    for (const Side side : {Side::source, Side::target})
      expect_same_bits(after.marginal(side, exec), before.marginal(side, exec), "marginal");
    save(this->path_, problem, result, how, {.points = false});
    const auto without = this->loaded();
    EXPECT_EQ(refusal([&] { without.problem(); }).argument, "a");
    without.problem({.x = {},
                     .y = {},
                     .C = {},
                     .a = {grids.a.data(), grids.n()},
                     .b = {grids.b.data(), grids.m()}});
  }
}

TYPED_TEST(Saved, LabelsComeBack) {
  using T = TypeParam;
  Exec exec;
  const auto clouds = random_clouds<T>(9, 7, 2, 3);
  const std::vector<std::int64_t> of_x{0, 1, 2, 0, 1, 2, 0, 1, 2}, of_y{0, 1, 0, 1, 0, 1, 0};
  const std::vector<double> table{0, 1, 0.5, 0.3, 2, 0.1};
  const LabelsOf<T> labels{clouds.source(),
                           clouds.target(),
                           {of_x.data(), 9},
                           {of_y.data(), 7},
                           {table.data(), 3, 2},
                           0.8,
                           1.2};
  const auto points = with_labels<T>(labels.x, labels.labels_x, labels.y, labels.labels_y,
                                     labels.table, labels.lambda_x, labels.lambda_y, exec);
  const Problem<T> problem(points.cloud(), clouds.source_weights(), clouds.target_weights(), KL{1},
                           KL{1});
  const auto how = this->options(0.1);
  const auto result = sinkhorn(problem, how, exec);
  save<T>(this->path_, problem, result, how, {}, {}, labels);
  const auto got = this->loaded();
  ASSERT_TRUE(got.labels);
  EXPECT_TRUE(refusal([&] { got.problem(); }).says("labelled"));
  const auto again = got.labelled();
  expect_same_bits(again.x, points.x, "x");
  expect_same_bits(again.y, points.y, "y");
  const auto restored = got.problem({}, &again);
  expect_same_bits(Plan<T>(restored, got.result).dense(exec), Plan<T>(problem, result).dense(exec),
                   "plan");
}

TYPED_TEST(Saved, LowerBoundsComeBack) {
  using T = TypeParam;
  Exec exec;
  const auto clouds = random_clouds<T>(9, 7, 2, 3);
  const std::vector<std::int64_t> rows{4, 0, 8}, columns{1, 6, 2};
  const std::vector<double> values{0.02, 0.05, 0};
  ProblemOptions with;
  with.bounds = {{rows.data(), 3}, {columns.data(), 3}, {values.data(), 3}};
  const auto problem = clouds.problem(KL{1}, KL{1}, SquaredEuclidean{}, with);
  const auto how = this->options(0.1);
  const auto result = sinkhorn(problem, how, exec);
  save(this->path_, problem, result, how);
  const auto got = this->loaded();
  const auto restored = got.problem();
  ASSERT_EQ(got.bounds.rows.size(), 2);  // 0 bounds nothing
  EXPECT_EQ(got.bounds.columns[0], 6);
  expect_same_bits(Plan<T>(restored, got.result).dense(exec), Plan<T>(problem, result).dense(exec),
                   "plan");
}

// Whoever wrote format 1 goes on reading what it knows.
TYPED_TEST(Saved, OnlyWhatIsNewHasTheNewFormat) {
  using T = TypeParam;
  Exec exec;
  const auto format = [&] {
    const io::ZipReader file(this->path_);
    return file.read(*file.find("format.npy"), [](io::Source& source) {
      return std::get<Buffer<double>>(io::read_npy(source).values)[0];
    });
  };
  const auto clouds = random_clouds<T>(9, 7, 2, 3);
  const auto problem = clouds.problem(KL{1}, KL{1});
  const auto how = this->options(0.1);
  save(this->path_, problem, sinkhorn(problem, how, exec), how);
  EXPECT_EQ(format(), 1);
  const auto grids = testing::all_grids<T>()[0];
  const auto between = grids.on_lattice(KL{1}, KL{1});
  save(this->path_, between, sinkhorn(between, how, exec), how);
  EXPECT_EQ(format(), 2);
}

TYPED_TEST(Saved, RefusesWhatItCannotRead) {
  using T = TypeParam;
  const std::int64_t newer = kSolutionFormat + 1;
  const std::string version = "9.1.0";
  io::write_npz(this->path_, {{"format", {{}, &newer}}, {"version", io::ArrayView(version)}});
  const auto of_format = io_error([&] { load(this->path_); });
  EXPECT_NE(of_format.find("has format 3 of monge 9.1.0"), std::string::npos) << of_format;
  const T points[2] = {1, 2};
  io::write_npz(this->path_, {{"points", {{2, 1}, points}}});
  const auto other = io_error([&] { load(this->path_); });
  EXPECT_NE(other.find("it has no 'format'"), std::string::npos) << other;
  EXPECT_NE(io_error([&] { load(this->path_ + ".none"); }).find("No such file"), std::string::npos);
}
}  // namespace
}  // namespace monge
