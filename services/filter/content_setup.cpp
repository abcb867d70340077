#include "filter/content_setup.hpp"

#include "merpati/runtime/duration.hpp"

namespace merpati::filter {
namespace {

using Words = google::protobuf::RepeatedPtrField<std::string>;

Result<AttachmentList> list_from(const std::string& key, const Words& config, AttachmentList otherwise) {
  std::vector<std::string> words(config.begin(), config.end());
  if (words.empty()) return otherwise;
  if (words == std::vector<std::string>{"none"}) return AttachmentList();
  auto list = AttachmentList::parse(words);
  if (list.has_error()) return std::move(list).error().in(key);
  return list;
}

ArchiveLimits limits_from(const config::v1::Archives& config) {
  ArchiveLimits limits;
  limits.max_size = config.max_size();
  limits.max_unpacked = config.max_unpacked();
  limits.max_ratio = config.max_ratio();
  limits.max_depth = config.max_depth();
  limits.max_files = config.max_files();
  return limits;
}

Result<void> add(const std::string& key, const Words& entries, SenderTreatment treatment, SenderLists& lists) {
  for (const std::string& entry : entries) {
    auto added = lists.add(entry, treatment);
    if (added.has_error()) return std::move(added).error().in(key);
  }
  return {};
}

}  // namespace

Result<AttachmentsSettings> attachments_settings(const config::v1::Attachments& config) {
  AttachmentsSettings settings;
  AttachmentPolicy& policy = settings.policy;
  MERPATI_TRY(policy.refuse, list_from("filter.attachments.refuse", config.refuse(), policy.refuse));
  MERPATI_TRY(policy.junk, list_from("filter.attachments.junk", config.junk(), policy.junk));
  policy.archives = limits_from(config.archives());
  policy.open_archives = config.archives().open();
  policy.time = std::chrono::duration_cast<std::chrono::milliseconds>(runtime::to_chrono(config.archives().time()));
  settings.check_submitted = config.check_submitted();
  settings.max_scans = config.max_scans();
  return settings;
}

Result<SenderLists> sender_lists(const config::v1::Senders& config) {
  SenderLists lists;
  MERPATI_CHECK(add("filter.senders.accept", config.accept(), SenderTreatment::kAccept, lists));
  MERPATI_CHECK(add("filter.senders.junk", config.junk(), SenderTreatment::kJunk, lists));
  MERPATI_CHECK(add("filter.senders.refuse", config.refuse(), SenderTreatment::kRefuse, lists));
  return lists;
}

}  // namespace merpati::filter
