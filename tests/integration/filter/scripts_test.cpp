// Scripts as accounts keep them: RFC 5804's rules, limits that hold, and their end with the account.
#include "filter_fixture.hpp"

namespace merpati::filter {
namespace {

constexpr ErrorCode kWell = ErrorCode::kUnknown;

class ScriptsTest : public FilterTest {
 protected:
  std::string listed(std::int64_t account) {
    v1::ListScriptsRequest request;
    request.set_account_id(account);
    v1::ScriptsClient client(admin_);
    std::string out;
    const auto response = call(client.list_scripts(request));
    for (const auto& script : response.scripts())
      out += script.name() + (script.active() ? "* " : " ") + std::to_string(script.size()) + "\n";
    return out;
  }
  ErrorCode remove(std::int64_t account, const std::string& name) {
    v1::DeleteScriptRequest request;
    request.set_account_id(account);
    request.set_name(name);
    v1::ScriptsClient client(admin_);
    auto done = attempt(client.delete_script(request));
    return done.has_error() ? done.error().code() : kWell;
  }
  ErrorCode rename(std::int64_t account, const std::string& name, const std::string& to) {
    v1::RenameScriptRequest request;
    request.set_account_id(account);
    request.set_name(name);
    request.set_new_name(to);
    v1::ScriptsClient client(admin_);
    auto done = attempt(client.rename_script(request));
    return done.has_error() ? done.error().code() : kWell;
  }
  v1::ScriptRoom room(std::int64_t account, const std::string& name, std::uint64_t size) {
    v1::CheckSpaceRequest request;
    request.set_account_id(account);
    request.set_name(name);
    request.set_size(size);
    v1::ScriptsClient client(admin_);
    return call(client.check_space(request)).room();
  }
  Result<v1::GetScriptResponse> get(std::int64_t account, const std::string& name) {
    v1::GetScriptRequest request;
    request.set_account_id(account);
    request.set_name(name);
    v1::ScriptsClient client(admin_);
    return attempt(client.get_script(request));
  }
};

TEST_F(ScriptsTest, ManyByNameAndOneIsActive) {
  start();
  EXPECT_TRUE(put(1, "b", "keep;").stored());
  EXPECT_TRUE(put(1, "a", "stop;\r\n").stored());
  EXPECT_TRUE(put(2, "a", "discard;").stored());
  EXPECT_EQ(activate(1, "a"), kWell);
  EXPECT_EQ(listed(1), "a* 7\nb 5\n");
  EXPECT_EQ(activate(1, "b"), kWell);
  EXPECT_TRUE(put(1, "b", "keep; stop;").stored());
  EXPECT_EQ(listed(1), "a 7\nb* 11\n") << "what is put anew stays active";
  EXPECT_EQ(get(1, "a")->source(), "stop;\r\n");
  EXPECT_EQ(activate(1, ""), kWell);
  EXPECT_EQ(listed(1), "a 7\nb 11\n");
  EXPECT_EQ(listed(2), "a 8\n");
}

TEST_F(ScriptsTest, RulesOfManageSieve) {
  start();
  put(1, "a", "keep;");
  put(1, "b", "keep;");
  EXPECT_EQ(activate(1, "a"), kWell);
  EXPECT_EQ(activate(1, "none"), ErrorCode::kNotFound);
  EXPECT_EQ(remove(1, "a"), ErrorCode::kFailedPrecondition);
  EXPECT_EQ(remove(1, "none"), ErrorCode::kNotFound);
  EXPECT_EQ(rename(1, "a", "b"), ErrorCode::kAlreadyExists);
  EXPECT_EQ(rename(1, "none", "c"), ErrorCode::kNotFound);
  EXPECT_EQ(rename(1, "a", "c"), kWell);
  EXPECT_EQ(remove(1, "b"), kWell);
  EXPECT_EQ(listed(1), "c* 5\n");
  EXPECT_EQ(get(1, "b").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(get(2, "c").error().code(), ErrorCode::kNotFound) << "another account's";
  for (const std::string name : {"", "a\nb", "\xC2\x85", "\xE2\x80\xA8", "\xFF"})
    EXPECT_EQ(rename(1, "c", name), ErrorCode::kInvalidArgument) << name;
  EXPECT_EQ(rename(1, "c", "\xC3\x84 \xE2\x82\xAC"), kWell);
}

TEST_F(ScriptsTest, WhatDoesNotCompileIsNotStored) {
  start();
  put(1, "a", "keep;");
  const auto response = put(1, "a", "keep;\r\nfileinto \"x\";\r\n  nothing;\r\n");
  EXPECT_FALSE(response.stored());
  ASSERT_EQ(response.problems_size(), 2);
  EXPECT_EQ(response.problems(0).line(), 2u);
  EXPECT_EQ(response.problems(1).line(), 3u);
  EXPECT_EQ(response.problems(1).column(), 3u);
  EXPECT_EQ(listed(1), "a 5\n");
  v1::CheckScriptRequest request;
  request.set_source("keep");
  v1::ScriptsClient client(admin_);
  EXPECT_FALSE(call(client.check_script(request)).compiles());
  request.set_source("keep;");
  EXPECT_TRUE(call(client.check_script(request)).compiles());
}

TEST_F(ScriptsTest, LimitsHold) {
  config_.mutable_sieve()->set_max_scripts(2);
  config_.mutable_sieve()->set_max_script_size(100);
  config_.mutable_sieve()->set_max_total_size(150);
  start();
  const std::string large = "keep;" + std::string(75, '\n');
  EXPECT_TRUE(put(1, "a", large).stored());
  EXPECT_EQ(put(1, "b", large).room(), v1::SCRIPT_ROOM_FULL);
  EXPECT_TRUE(put(1, "b", "keep;").stored());
  EXPECT_EQ(put(1, "c", "keep;").room(), v1::SCRIPT_ROOM_TOO_MANY);
  EXPECT_EQ(put(1, "a", large + large).room(), v1::SCRIPT_ROOM_TOO_LARGE);
  EXPECT_EQ(room(1, "a", 100), v1::SCRIPT_ROOM_ENOUGH) << "it takes the place of the old one";
  EXPECT_EQ(room(1, "a", 101), v1::SCRIPT_ROOM_TOO_LARGE);
  EXPECT_EQ(room(1, "b", 71), v1::SCRIPT_ROOM_FULL);
  EXPECT_EQ(room(1, "c", 1), v1::SCRIPT_ROOM_TOO_MANY);
  EXPECT_EQ(listed(1), "a 80\nb 5\n");
}

TEST_F(ScriptsTest, LimitsHoldForWhoPutsManyAtOnce) {
  config_.mutable_sieve()->set_max_scripts(3);
  start();
  std::vector<std::future<bool>> stored;
  v1::ScriptsClient client(admin_);
  const auto one = [](const v1::ScriptsClient& scripts, std::string name) -> asio::awaitable<bool> {
    v1::PutScriptRequest request;
    request.set_account_id(1);
    request.set_name(name);
    request.set_source("keep;");
    const auto response = co_await scripts.put_script(request);
    co_return response.has_value() && response->stored();
  };
  for (int i = 0; i < 10; ++i) {
    auto put_one = one(client, "s" + std::to_string(i));
    stored.push_back(asio::co_spawn(process_->loops().main(), std::move(put_one), asio::use_future));
  }
  int count = 0;
  for (auto& each : stored) count += each.get();
  EXPECT_EQ(count, 3);
}

TEST_F(ScriptsTest, EndWithTheAccount) {
  start();
  put(1, "a", "keep;");
  put(2, "a", "keep;");
  put(3, "a", "keep;");
  v1::PurgeAccountScriptsRequest request;
  request.set_account_id(3);
  v1::ScriptsClient client(admin_);
  call(client.purge_account_scripts(request));
  EXPECT_EQ(listed(3), "");
  v1::PutScriptRequest late;
  late.set_account_id(3);
  late.set_name("a");
  EXPECT_EQ(attempt(client.put_script(late)).error().code(), ErrorCode::kNotFound);
  auth_.purged_up_to = 1;  // heard of when the feed is asked the next time
  for (int i = 0; i < 400 && !listed(1).empty(); ++i) std::this_thread::sleep_for(25ms);
  EXPECT_EQ(listed(1), "");
  EXPECT_EQ(listed(2), "a 5\n");
}

TEST_F(ScriptsTest, WithoutTheDatabaseTheyCannotBeHad) {
  start();
  put(1, "a", "keep;");
  database_->stop();
  EXPECT_EQ(get(1, "a").error().code(), ErrorCode::kUnavailable);
  database_->start();
  for (int i = 0; i < 400 && get(1, "a").has_error(); ++i) std::this_thread::sleep_for(25ms);
  EXPECT_EQ(get(1, "a")->source(), "keep;");
}

}  // namespace
}  // namespace merpati::filter
