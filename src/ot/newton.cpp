#include "ot/newton.hpp"

#include "kernels/entries.hpp"
#include "ot/arrays.hpp"

namespace monge {
template <class T>
DenseModel<T>::DenseModel(Alternation<T>& alternation, const Coarse<T>* coarse, Exec& exec)
    : alternation_(alternation), coarse_(coarse), weight_(in_double(columns().weight, exec)) {
  for (Buffer<T>* v : {&response_, &on_rows_}) *v = Buffer<T>(rows().weight.size, exec.device);
  for (Buffer<T>* v : {&on_columns_, &result_}) *v = Buffer<T>(columns().weight.size, exec.device);
}

template <class T>
void DenseModel<T>::respond(const kernels::ResponseArgs& args, Totals*, Exec& exec) {
  const double eps = alternation_.epsilon();
  kernels::make_trial(args, exec);
  copy(alternation_.moved(), exec.device, args.g, exec.device,
       columns().weight.size * std::int64_t{sizeof(double)}, exec.stream);
  alternation_.lead(1, exec);
  alternation_.sweep_following(exec);
  kernels::each(
      kernels::TotalArgs<T>{columns().weight, columns().potential, columns().softmin, eps, args.q},
      columns().weight.size, exec);
  kernels::each(kernels::RowResponseArgs<T>{rows().weight, rows().potential, rows().softmin,
                                            rows().penalty, eps, response_.data()},
                rows().weight.size, exec);
  kernels::settle_slopes(args, exec);
  const kernels::MeasureArgs<T> side{
      .f = rows().potential, .s = nullptr, .weight = rows().weight, .penalty = rows().penalty};
  kernels::Measures measures;
  kernels::measure<T>({&side, 1}, &measures, exec);
  dual_ = measures.dual + eps * rows().mass * columns().mass;
}

template <class T>
void DenseModel<T>::apply(const typename Alternation<T>::Half& side,
                          const typename Alternation<T>::Half& from, kernels::Weighting weighting,
                          const Buffer<T>& x, Buffer<T>& out, Exec& exec) {
  alternation_.op().apply(side.side, alternation_.in_type(from, exec).h,
                          alternation_.in_type(side, exec).potential, weighting,
                          {x.data(), x.size(), 1, 1, 1, exec.device}, out.data(),
                          alternation_.epsilon(), exec);
  alternation_.swept(exec);
}

// P^T D1^-1 P v = b w^T (a / D1) w v, with w = P over the weight of its rows or columns.
template <class T>
void DenseModel<T>::product(const double* v, double* out, Exec& exec) {
  kernels::each(kernels::RoundArgs<T>{v, on_columns_.data()}, on_columns_.size(), exec);
  apply(rows(), columns(), kernels::Weighting::plain, on_columns_, on_rows_, exec);
  scale_rows<T>(response_.view(), on_rows_, exec);
  apply(columns(), rows(), kernels::Weighting::plain, on_rows_, result_, exec);
  kernels::each(kernels::WeightedArgs<T>{columns().weight, result_.data(), false, out},
                result_.size(), exec);
}

// sum_i P_ij^2 / D1_i = b_j^2 sum_i w_ij^2 / D1_i
template <class T>
void DenseModel<T>::squares(double* out, Exec& exec) {
  kernels::each(kernels::OverWeightArgs<T>{rows().weight, response_.data(), on_rows_.data()},
                on_rows_.size(), exec);
  apply(columns(), rows(), kernels::Weighting::squared, on_rows_, result_, exec);
  kernels::each(kernels::WeightedArgs<T>{columns().weight, result_.data(), true, out},
                result_.size(), exec);
}

template <class T>
void DenseModel<T>::step(const kernels::StepArgs& args, Exec& exec) {
  const kernels::CgArgs& cg = args.cg;
  squares(args.diagonal.diagonal, exec);
  kernels::prepare(args, exec);
  kernels::conjugate_gradients(
      cg, [&] { product(cg.p, cg.w, exec); },
      [&] {
        kernels::each(kernels::JacobiArgs{cg.diagonal, cg.r, cg.z}, cg.n, exec);
        if (coarse_) coarse_->add(cg.r, kernels::Penalty{}, cg.z, exec);
      },
      exec);
}

template <class T>
bool DenseModel<T>::projects() const {
  return alternation_.balanced();
}

template class DenseModel<float>;
template class DenseModel<double>;
}  // namespace monge
