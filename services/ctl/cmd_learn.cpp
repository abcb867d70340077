// merpatictl filter learn, filter bayes: what spam looks like, for all or for an account.
#include <fmt/format.h>

#include <iostream>

#include "ctl/commands.hpp"
#include "ctl/mbox.hpp"
#include "ctl/read_file.hpp"

namespace merpati::ctl {
namespace {

// Of one call: the filter looks at no more of a message, and takes no more together.
constexpr std::size_t kOctetsOfMessage = 256 * 1024;
constexpr std::size_t kOctetsTogether = 1 << 20;
constexpr int kMessagesTogether = 100;

struct LearnOptions {
  std::string what, account;
  bool of_all = false;
  std::vector<std::string> files;
};
using Options = std::shared_ptr<LearnOptions>;

/// The address, or "" for the model of all. Throws Failure.
std::string whose(const LearnOptions& options) {
  if (options.of_all == !options.account.empty())
    throw Failure{Error(ErrorCode::kInvalidArgument, "say whose model it is"),
                  "--account ADDRESS, or --global for that of all mail"};
  return options.account;
}

std::string name_of(const std::string& address) { return address.empty() ? "the model of all" : address; }

filter::v1::Lesson lesson_of(const std::string& what) {
  if (what == "spam") return filter::v1::LESSON_SPAM;
  return what == "ham" ? filter::v1::LESSON_HAM : filter::v1::LESSON_TAKE_BACK;
}

/// Sends messages in calls of a bounded size, and adds up the answers.
class Teacher {
 public:
  Teacher(Client& client, const LearnOptions& options) : client_(client) {
    request_.set_address(whose(options));
    request_.set_lesson(lesson_of(options.what));
  }
  void add(std::string message) {
    message.resize(std::min(message.size(), kOctetsOfMessage));
    if (octets_ + message.size() > kOctetsTogether || request_.messages_size() == kMessagesTogether) send();
    octets_ += message.size();
    request_.add_messages(std::move(message));
  }
  const filter::v1::LearnResponse& finish() {
    if (request_.messages_size() > 0) send();
    return total_;
  }

 private:
  void send() {
    const auto response = client_.call(&AdminClient::learn, request_);
    total_.set_learnt(total_.learnt() + response.learnt());
    total_.set_changed(total_.changed() + response.changed());
    total_.set_known(total_.known() + response.known());
    *total_.mutable_model() = response.model();
    request_.clear_messages();
    octets_ = 0;
  }

  Client& client_;
  v1::LearnRequest request_;
  std::size_t octets_ = 0;
  filter::v1::LearnResponse total_;
};

std::string state_of(const filter::v1::BayesModel& model) {
  if (model.speaks()) return "it judges mail";
  return fmt::format("it judges mail once it has learnt {} of each", model.min_learnt());
}

void learn(Client& client, const Session& session, const LearnOptions& options) {
  Teacher teacher(client, options);
  for (const auto& file : options.files)
    for (auto& message : messages_in(read_file(file))) teacher.add(std::move(message));
  const auto& total = teacher.finish();
  if (total.learnt() + total.changed() + total.known() == 0)
    throw Failure{Error(ErrorCode::kInvalidArgument, "there is no message in what was given"), {}};
  if (session.format != Format::kTable) return print_one(session.format, to_json(total));
  std::cout << fmt::format("{} learnt, {} changed, {} known already\n", total.learnt(), total.changed(), total.known())
            << fmt::format("{}: {} spam, {} ham; {}\n", name_of(options.account), total.model().spam(),
                           total.model().ham(), state_of(total.model()));
}

void show(Client& client, const Session& session, const std::string& account) {
  v1::GetBayesModelRequest request;
  request.set_address(account);
  const auto model = client.call(&AdminClient::get_bayes_model, request);
  if (session.format != Format::kTable) return print_one(session.format, to_json(model));
  std::cout << fmt::format("{}: {} spam, {} ham, {} tokens; {}\n", name_of(account), model.spam(), model.ham(),
                           model.tokens(), state_of(model));
}

}  // namespace

void add_learn_commands(CLI::App* filter, Session& session) {
  const auto options = std::make_shared<LearnOptions>();
  auto* learned = add_command(filter, session, "learn", "Learns messages as spam or as good mail",
                              [&session, options](Client& client) { learn(client, session, *options); });
  learned->add_option("as", options->what, "spam, ham (good mail), or forget: take back what was learnt of them")
      ->required()
      ->check(CLI::IsMember({"spam", "ham", "forget"}));
  learned->add_option("file", options->files, "files with a message, or in the format mbox; - is standard input")
      ->required();
  auto* account = learned->add_option("--account", options->account, "learn for the mail of this account");
  learned->add_flag("--global", options->of_all, "learn for all mail")->excludes(account);
  const auto of = std::make_shared<std::string>();
  add_command(filter, session, "bayes", "How much was learnt of spam and of good mail", [&session, of](Client& client) {
    show(client, session, *of);
  })->add_option("--account", *of, "by this account; default: by the model of all");
}

}  // namespace merpati::ctl
