#include <cstdio>
#include <monge/monge.hpp>

int main() {
  const double x[] = {0, 0, 1, 0, 0, 1}, y[] = {2, 2, 3, 2, 2, 3, 9, 9};  // 3 and 4 points in 2-D
  const monge::PointCloud<double> clouds{{x, 3, 2}, {y, 4, 2}};
  const monge::Problem<double> problem(clouds, {}, {}, monge::Balanced{}, monge::KL{1.0});
  monge::Exec exec;
  const auto result = monge::sinkhorn(problem, {.epsilon = 0.1}, exec);
  const auto images = monge::Plan<double>(problem, result).barycentric(monge::Side::source, exec);
  std::printf("%s, value %.4f\n", monge::to_string(result.report.status), result.report.dual_value);
  for (int i = 0; i < 3; ++i) std::printf("(%.3f, %.3f)\n", images[2 * i], images[2 * i + 1]);
}
