// The watchers of a loop: one for each cell whose accounts have sessions here.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "imap/watcher.hpp"

namespace merpati::imap {

/// Used on its loop's thread.
class Watchers {
 public:
  /// `run` keeps a new watcher's stream open, as a task of the loop.
  Watchers(std::function<std::unique_ptr<Watcher>(const std::string& cell)> make,
           std::function<void(asio::awaitable<void>)> run)
      : make_(std::move(make)), run_(std::move(run)) {}

  Watcher& of(const std::string& cell) {
    auto& watcher = by_cell_[cell];
    if (!watcher) {
      watcher = make_(cell);
      run_(watcher->run());
    }
    return *watcher;
  }
  /// Wakes every session of the account that waits in a mailbox; 0: of all accounts.
  void wake(std::int64_t account) {
    for (auto& [cell, watcher] : by_cell_) {
      if (account == 0)
        watcher->wake_all();
      else
        watcher->wake(account);
    }
  }

 private:
  std::function<std::unique_ptr<Watcher>(const std::string&)> make_;
  std::function<void(asio::awaitable<void>)> run_;
  std::map<std::string, std::unique_ptr<Watcher>> by_cell_;
};

}  // namespace merpati::imap
