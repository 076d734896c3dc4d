"""Makes records, writes them as JSON, reads them back, indexes them, rewrites the text with a regular expression."""
import collections
import json
import re

state = 12345


def rnd():
    global state
    state = (state * 6364136223846793005 + 1) % (1 << 64)
    return state >> 33


words = ['%s%d' % (word, rnd() % 50) for word in 'alpha beta gamma delta epsilon zeta'.split() for _ in range(30)]
records = [
    {'id': i, 'name': words[rnd() % len(words)], 'tags': [words[rnd() % len(words)] for _ in range(rnd() % 5)], 'value': rnd() / 7}
    for i in range(250)
]
text = json.dumps(records)
index = collections.defaultdict(list)
for record in json.loads(text):
    for tag in record['tags']:
        index[tag].append(record['id'])
turned = re.sub(r'([a-z]+)(\d+)', lambda match: match.group(2) + match.group(1), text)
print(len(turned), len(index), max(index, key=lambda tag: (len(index[tag]), tag)))
