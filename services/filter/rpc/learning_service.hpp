// merpati.filter.v1.Learning: converts between the contract and BayesModels, and cuts messages into tokens.
#pragma once

#include <array>

#include "filter/bayes_models.hpp"
#include "merpati/filter/v1/learning.rpc.hpp"
#include "merpati/runtime/metrics.hpp"

namespace merpati::filter {

class LearningService : public v1::LearningService {
 public:
  /// `models` outlives the service; large messages are cut into tokens on `blocking`. `enabled`: false refuses all.
  LearningService(BayesModels& models, asio::thread_pool& blocking, runtime::Metrics& metrics, bool enabled);

  Task<v1::LearnResponse> learn(rpc::Context&, const v1::LearnRequest&) override;
  Task<v1::BayesModel> get_model(rpc::Context&, const v1::GetModelRequest&) override;

 private:
  Task<v1::BayesModel> model_of(std::int64_t account, Deadline deadline);

  BayesModels& models_;
  asio::thread_pool& blocking_;
  const bool enabled_;
  std::array<runtime::Counter, 3> lessons_;  ///< by Lesson
};

}  // namespace merpati::filter
