#include <monge/info.hpp>
#include <monge/ot/plan.hpp>

#include <cstdio>

int main() {
  const float x[] = {0, 1, 2, 3}, y[] = {0.5, 1.5, 2.5, 3.5};
  const monge::Problem<float> problem(monge::PointCloud<float>{{x, 4, 1}, {y, 4, 1}}, {}, {},
                                      monge::Balanced{}, monge::Balanced{});
  monge::Exec exec;
  const auto result = monge::sinkhorn(problem, {.epsilon = 0.1}, exec);
  const monge::Plan<float> plan(problem, result);
  const auto images = plan.barycentric(monge::Side::source, exec);
  for (float image : images) std::printf("%.3f ", image);
  std::printf("%s\n", monge::to_string(result.report.status));
}
