/** A whole policy, with every field there is: it can be applied as it is. */
export const policyExample = `# Every field of a policy. All but the name may be left out: what stands here is the default of each.
# Name what it protects under groups or sets, then:
#   tidemark policy apply FILE            shows what would change, and says what is wrong
#   tidemark policy apply FILE --apply    does it
# Several policies in one file are parted by a line of ---

name: example                # letters, digits, ".", "_" and "-"
description: ""              # what it is for
highPriority: false          # true: its sets come before those of other policies

groups: []                   # such as [shop]: whatever sets of these groups are protected when it runs
sets: []                     # such as [rs0, rs1]
overrides: {}                # by set, such as { rs0: { preferredNode: "db2:27017", compression: strong } }

source:                      # which member is copied
  failOver: true             # false: fail when the preferred node is not fit
  primaryAllowed: false      # true: the primary, when no secondary is fit
  hiddenFirst: false         # true: hidden members before others
  lagLimitSeconds: 30        # how far behind it may be

# One of
#   { kind: daily, at: "22:00", days: [mon, wed, fri] }
#   { kind: monthly, at: "21:00", on: { kind: weekday, nth: 1, weekday: sat }, months: [1, 4, 7, 10] }    nth: 1 to 4, or last
#   { kind: monthly, at: "21:00", on: { kind: day, day: last } }                                          day: 1 to 28, or last
#   { kind: every, minutes: 240, hours: { from: "08:00", to: "20:00" }, days: [mon] }
#   { kind: continuous, hours: null }
#   { kind: after, policy: nightly }
#   { kind: manual }
schedule: { kind: daily, at: "22:00", days: [mon, tue, wed, thu, fri, sat, sun] }
timeZone: UTC                # of all its times, such as Europe/Berlin
window: null                 # such as { from: "21:00", to: "06:00", days: [mon] }: outside it sessions are stopped
retry: { times: 3, minutes: 10 }

retention:                   # a point stays as long as any rule keeps it; the newest three good ones always do
  keep: { kind: days, days: 7 }    # or { kind: points, points: 24 }
  weekly: null               # such as { count: 4, day: sun }: the first point of each of the newest four weeks
  monthly: null              # such as { count: 12, week: 1 }; week: 1 to 4, or last
  yearly: null               # such as { count: 5, month: 1 }
  oplog: { kind: points }    # or { kind: days, days: 30 }: how long every single moment can be reached

compression: balanced        # none, fast, balanced or strong
bandwidth: []                # of its copies on a host, such as [{ mbitPerSecond: 50, from: "08:00", to: "18:00" }]; the same time twice: all day

promise:                     # beyond either a set is told as unprotected
  pointHours: null           # age of its newest good point; null: the longest pause of the schedule, and an hour
  lossSeconds: 900           # what would be lost if its host were lost now

verification:                # a moment by chance is brought back and looked at in full
  schedule: { kind: daily, at: "03:00", days: [sun] }
  checks: []                 # such as [{ name: orders, collection: shop.orders, count: {}, expect: { atLeast: 1 } }]

# Programs in /etc/tidemark/hooks.d of a host, around each of its backups, such as
#   - { when: before, on: db2, program: quiet-shop, args: [orders], deadlineSeconds: 60, onFailure: fail }    on: local is the server's machine
#   - { when: after, on: local, program: tell-monitoring, onFailure: warn }
hooks: []

proof: open                  # none: a point counts as good only once a verification has proved it
newBase: true                # false: after a gap an alarm stays open until somebody runs a backup
`;
