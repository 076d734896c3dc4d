# Filters, reshapes, groups and joins a list of 1500 records that it makes itself.
[range(1500) | {id: ., user: {name: "user \(. * 7919 % 1001)"}, tags: [range(. % 6) as $k | "t\(. * $k % 23)"], score: (. * 1.5)}]
| [.[] | select(.score > 100) | {name: .user.name, tags: (.tags | sort | unique)}]
| group_by(.tags | length)
| map({tags: (.[0].tags | length), count: length, names: ([.[].name] | sort | .[0:5] | join(","))})
