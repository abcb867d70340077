# Thirty rules as people have them: lists, senders, subjects, sizes, dates, bodies. bench_sieve and bench_filter run it.
require ["fileinto", "imap4flags", "variables", "relational", "comparator-i;ascii-numeric", "regex", "body", "subaddress", "date"];

if header :contains "List-Id" "<dev.lists.example.org>" { fileinto "lists.dev"; stop; }
if header :contains "List-Id" "<users.lists.example.org>" { fileinto "lists.users"; stop; }
if header :matches "List-Id" "*<*.lists.example.net>" { set :lower "list" "${2}"; fileinto "lists.${list}"; stop; }
if header :is "Precedence" ["bulk", "junk"] { fileinto "bulk"; stop; }
if address :is :domain "From" ["shop.example", "store.example", "market.example"] { fileinto "orders"; stop; }
if address :is "From" ["boss@example.test", "chief@example.test"] { addflag "\\Flagged"; }
if address :matches :localpart "From" ["noreply*", "no-reply*", "donotreply*"] { fileinto "robots"; stop; }
if address :detail :is "To" "shopping" { fileinto "orders"; stop; }
if address :detail :contains ["To", "Cc"] "news" { fileinto "news"; stop; }
if header :contains "Subject" ["invoice", "receipt", "payment due"] { fileinto "invoices"; stop; }
if header :contains "Subject" ["[jira]", "[build]", "[ci]"] { fileinto "tickets"; stop; }
if header :regex "Subject" "^(re|aw|sv): *\\[bug [0-9]+\\]" { fileinto "bugs"; stop; }
if header :regex "Subject" "#[0-9]{4,6}([^0-9]|$)" { fileinto "numbers"; stop; }
if header :matches "Subject" "*meeting*tomorrow*" { addflag "\\Flagged"; }
if header :matches "Subject" "Out of office*" { fileinto "absent"; stop; }
if allof (header :contains "Subject" "report", not header :contains "Subject" "weekly") { fileinto "reports"; stop; }
if anyof (header :contains "Subject" "weekly", header :contains "Subject" "monthly") { fileinto "periodicals"; stop; }
if exists ["X-Spam-Flag", "X-Spam-Score"] { fileinto "suspects"; stop; }
if header :value "ge" :comparator "i;ascii-numeric" "X-Score" "50" { fileinto "scored"; stop; }
if header :count "ge" :comparator "i;ascii-numeric" "Received" "6" { fileinto "far"; stop; }
if size :over 60K { fileinto "large"; stop; }
if address :count "gt" :comparator "i;ascii-numeric" ["To", "Cc"] "5" { fileinto "crowds"; stop; }
if not exists "Message-ID" { fileinto "odd"; stop; }
if date :value "lt" "date" "year" "2015" { fileinto "old"; stop; }
if header :contains ["X-Mailer", "User-Agent"] ["Massmailer", "Bulkblaster"] { fileinto "bulk"; stop; }
if header :is "Auto-Submitted" ["auto-generated", "auto-replied"] { fileinto "robots"; stop; }
if body :text :contains "unsubscribe here" { fileinto "news"; stop; }
if body :text :contains ["lottery", "inheritance fund"] { fileinto "suspects"; stop; }
if address :all :is ["To", "Cc"] "me@example.test" { addflag "$ToMe"; }
if header :contains "Subject" "urgent" { addflag "\\Flagged"; }
