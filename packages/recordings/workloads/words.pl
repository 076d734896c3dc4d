# Counts words, keeps lists of them by length of line, and rewrites lines with a regular expression.
use strict;
my $state = 12345;
sub rnd { $state = ($state * 1103515245 + 12345) & 0x7fffffff; return $state >> 8 }
my (%count, %by_length);
for (1 .. 1000) {
  my $line = join ' ', map { 'w' . (rnd() % 700) } 1 .. (5 + rnd() % 10);
  for my $word (split / /, $line) {
    $count{$word}++;
    push @{$by_length{length $line}}, $word if rnd() % 3 == 0;
  }
  $line =~ s/w(\d)(\d+)/$2-$1/g;
  $count{substr $line, 0, 9}++;
}
my @top = sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
print "$_ $count{$_}\n" for @top[0 .. 9];
print scalar(keys %by_length), "\n";
