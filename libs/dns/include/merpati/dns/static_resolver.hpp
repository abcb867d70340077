// A resolver that knows what it was told. For tests.
#pragma once

#include <algorithm>
#include <map>

#include "merpati/base/guarded.hpp"
#include "merpati/dns/resolver.hpp"

namespace merpati::dns {

/// A name that was not told does not exist.
class StaticResolver : public Resolver {
 public:
  void set_mx(const std::string& name, std::vector<Mx> records) {
    set(&Zone::mx, name, Status::kFound, std::move(records));
  }
  void set_mx_status(const std::string& name, Status status) { set(&Zone::mx, name, status, std::vector<Mx>()); }
  void set_addresses(const std::string& name, const std::vector<std::string>& texts) {
    std::vector<IpAddress> records;
    for (const auto& text : texts) records.push_back(boost::asio::ip::make_address(text));
    set(&Zone::addresses, name, Status::kFound, std::move(records));
  }
  void set_addresses_status(const std::string& name, Status status) {
    set(&Zone::addresses, name, status, std::vector<IpAddress>());
  }
  void set_txt(const std::string& name, std::vector<std::string> records) {
    set(&Zone::txt, name, Status::kFound, std::move(records));
  }

  void set_txt_status(const std::string& name, Status status) {
    set(&Zone::txt, name, status, std::vector<std::string>());
  }
  void set_names(const std::string& address, std::vector<std::string> records) {
    set(&Zone::names, address, Status::kFound, std::move(records));
  }
  void set_names_status(const std::string& address, Status status) {
    set(&Zone::names, address, status, std::vector<std::string>());
  }
  /// Questions so far, of all kinds.
  int questions() const {
    return zone_.with([](const Zone& zone) { return zone.questions; });
  }

  Task<Answer<Mx>> mx(std::string name, Deadline) override { co_return get(&Zone::mx, name); }
  Task<Answer<IpAddress>> addresses(std::string name, Deadline) override { co_return get(&Zone::addresses, name); }
  Task<Answer<IpAddress>> addresses_of(Family family, std::string name, Deadline) override {
    auto answer = get(&Zone::addresses, name);
    std::erase_if(answer.records, [&](const IpAddress& a) { return a.is_v4() != (family == Family::kV4); });
    if (answer.status == Status::kFound && answer.records.empty()) answer.status = Status::kNoData;
    co_return answer;
  }
  Task<Answer<std::string>> txt(std::string name, Deadline) override { co_return get(&Zone::txt, name); }
  Task<Answer<std::string>> names(IpAddress address, Deadline) override {
    co_return get(&Zone::names, address.to_string());
  }

 private:
  struct Zone {
    std::map<std::string, Answer<Mx>> mx;
    std::map<std::string, Answer<IpAddress>> addresses;
    std::map<std::string, Answer<std::string>> txt;
    std::map<std::string, Answer<std::string>> names;
    int questions = 0;
  };
  template <class T>
  void set(std::map<std::string, Answer<T>> Zone::*table, const std::string& name, Status status,
           std::vector<T> records) {
    Answer<T> answer;
    answer.status = status;
    answer.records = std::move(records);
    zone_.with([&](Zone& zone) { (zone.*table)[name] = answer; });
  }
  template <class T>
  Answer<T> get(std::map<std::string, Answer<T>> Zone::*table, std::string name) {
    for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    return zone_.with([&](Zone& zone) {
      ++zone.questions;
      const auto found = (zone.*table).find(name);
      if (found != (zone.*table).end()) return found->second;
      Answer<T> answer;
      const bool exists = zone.mx.contains(name) || zone.addresses.contains(name) || zone.txt.contains(name);
      answer.status = exists ? Status::kNoData : Status::kNoName;
      return answer;
    });
  }
  Guarded<Zone> zone_;
};

}  // namespace merpati::dns
