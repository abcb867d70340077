// merpati.filter.v1.Milters: converts between the contract and dialogs with milters.
#pragma once

#include <string>

#include "filter/milter_dialog.hpp"
#include "merpati/filter/v1/milters.rpc.hpp"

namespace merpati::filter {

/// Thread safe once its milters are set.
class MiltersService : public v1::MiltersService {
 public:
  /// `authserv_id`: whose Authentication-Results nobody but we and milters may write; empty: the receiving host's.
  explicit MiltersService(std::string authserv_id) : authserv_id_(std::move(authserv_id)) {}
  /// Before the first call.
  void set_milters(MilterSeats seats) { seats_ = std::move(seats); }

  Task<void> follow_milters(rpc::Context&, const v1::FollowMiltersRequest&,
                            rpc::Writer<v1::FollowMiltersResponse>&) override;
  Task<void> dialog(rpc::Context&, rpc::Reader<v1::DialogRequest>&, rpc::Writer<v1::DialogResponse>&) override;

 private:
  class Conversation;

  MilterSeats seats_for(std::string_view listener) const;

  const std::string authserv_id_;
  MilterSeats seats_;
};

/// Whether a message of that listener should have gone through milters that answer 451 when they cannot say.
bool needs_milters(const MilterSeats& seats, std::string_view listener);

}  // namespace merpati::filter
