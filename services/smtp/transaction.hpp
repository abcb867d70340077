// One mail transaction: the envelope so far. Owned by its session.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "merpati/runtime/span.hpp"
#include "merpati/smtp/command.hpp"
#include "smtp/recipient_cache.hpp"

namespace merpati::smtp {

struct EnvelopeRecipient {
  std::string address;           ///< as RCPT gave it
  RecipientCache::Answer local;  ///< null: it leaves by the queue
  bool junk = false;             ///< the filter files it into Junk
  bool discard = false;          ///< the filter drops it
};

struct Transaction {
  /// What milters have to do with it.
  enum class Milters {
    kNotAsked,  ///< nobody knows of any
    kInDialog,  ///< they are told of it
    kSettled,   ///< they want no more of it, or it goes on without them
    kLost,      ///< they cannot be asked any more, and it does not go on without them
  };
  runtime::Span span;    ///< from MAIL to the end; inactive where traces are not exported
  std::string id;        ///< delivery id, a UUID
  std::string trace_id;  ///< 32 hexadecimal digits
  MailCommand mail;
  std::string reverse_path;  ///< "" for <>
  std::vector<EnvelopeRecipient> recipients;
  Milters milters = Milters::kNotAsked;
  std::string discarded_by;  ///< "by the milter x"; empty: nobody wants it dropped
};

}  // namespace merpati::smtp
