#include "filter/rpc/learning_service.hpp"

#include <algorithm>
#include <optional>

#include "filter/bayes_engine.hpp"

namespace merpati::filter {
namespace {

constexpr std::size_t kMostOctets = 2 << 20;  // of one call

std::optional<Lesson> lesson_of(v1::Lesson lesson) {
  switch (lesson) {
    case v1::LESSON_SPAM:
      return Lesson::kSpam;
    case v1::LESSON_HAM:
      return Lesson::kHam;
    case v1::LESSON_TAKE_BACK:
      return Lesson::kTakeBack;
    default:
      return std::nullopt;
  }
}

Error refused(ErrorCode code, const std::string& why) { return Error(code, why).with_public(why); }

}  // namespace

LearningService::LearningService(BayesModels& models, asio::thread_pool& blocking, runtime::Metrics& metrics,
                                 bool enabled)
    : models_(models), blocking_(blocking), enabled_(enabled) {
  constexpr std::array<const char*, 3> kNames = {"spam", "ham", "take_back"};
  for (std::size_t i = 0; i < kNames.size(); ++i)
    lessons_[i] = metrics.counter("merpati_filter_bayes_learnt_total", "Messages that changed a model, by lesson",
                                  {{"lesson", kNames[i]}});
}

Task<v1::LearnResponse> LearningService::learn(rpc::Context& context, const v1::LearnRequest& request) {
  if (!enabled_)
    co_return refused(ErrorCode::kFailedPrecondition, "nothing is learnt here: filter.bayes.enabled is false");
  const auto lesson = lesson_of(request.lesson());
  if (!lesson) co_return refused(ErrorCode::kInvalidArgument, "the request says neither spam nor ham");
  std::size_t octets = 0;
  for (const auto& message : request.messages()) octets += message.size();
  if (octets > kMostOctets) co_return refused(ErrorCode::kInvalidArgument, "more than 2 MiB in one call");
  v1::LearnResponse response;
  for (const auto& message : request.messages()) {
    auto tokens = co_await bayes_tokens_of(message, blocking_);
    MERPATI_CO_TRY(const Learnt learnt,
                   co_await models_.learn(request.account_id(), *lesson, std::move(tokens), context.deadline()));
    if (learnt == Learnt::kNothing) {
      response.set_known(response.known() + 1);
      continue;
    }
    lessons_[static_cast<std::size_t>(*lesson)].add();
    if (learnt == Learnt::kNew)
      response.set_learnt(response.learnt() + 1);
    else
      response.set_changed(response.changed() + 1);
  }
  MERPATI_CO_TRY(*response.mutable_model(), co_await model_of(request.account_id(), context.deadline()));
  co_return response;
}

Task<v1::BayesModel> LearningService::get_model(rpc::Context& context, const v1::GetModelRequest& request) {
  co_return co_await model_of(request.account_id(), context.deadline());
}

Task<v1::BayesModel> LearningService::model_of(std::int64_t account, Deadline deadline) {
  MERPATI_CO_TRY(const BayesModel model, co_await models_.read(account, deadline));
  const auto least = models_.limits().min_learnt_of(account);
  v1::BayesModel out;
  out.set_spam(model.messages.spam);
  out.set_ham(model.messages.ham);
  out.set_tokens(model.tokens);
  out.set_min_learnt(least);
  out.set_speaks(enabled_ && std::min(model.messages.spam, model.messages.ham) >= least);
  co_return out;
}

}  // namespace merpati::filter
