# Associative arrays, string building and word splitting.
declare -A value count
for i in {1..380}; do
  value[key$i]=v$((i * 7 % 13))
  text="$text ${value[key$i]}"
done
for word in $text; do
  (( count[${word}]++ ))
done
echo "${#value[@]} ${count[*]}"
