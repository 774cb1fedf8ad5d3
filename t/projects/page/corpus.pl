# Output that would do harm, or hide what it says, in a page or a terminal that
# took it for more than text. What is to be seen of it: t/page/build-log.mjs.
use strict;
use warnings;
binmode STDOUT;
$| = 1;

my ($esc, $bel) = ("\e", "\a");
my @lines = (
    q{<script>document.title='taken'</script><img src=x onerror="document.title='taken'">},
    q{" onmouseover="document.title='taken'" x="'><svg/onload=document.title='taken'>},
    q{javascript:document.title='taken' see https://a.example/x?y=1&z=2.},
    "$esc]8;;javascript:document.title='taken'$esc\\not a link$esc]8;;$esc\\ after",
    "$esc]8;;https://b.example/$bel" . "a link$esc]8;;$bel after",
    "$esc]8;;data:text/html,<script>1</script>$bel" . "nor this$esc]8;;$bel",
    "$esc\[2J$esc\[H$esc\[5A$esc\[2Kcleared, moved, erased",
    "$esc]0;taken$bel$esc]2;taken$esc\\$esc]52;c;dGFrZW4=$bel" . "title and clipboard",
    "$esc\[6n$esc\[c$esc\[?1049h$esc\[?25l" . "asked and switched",
    "${esc}P1;2q#0$esc\\${esc}_Gpicture$esc\\$esc^private$esc\\pictures",
    "$esc\[8mhidden$esc\[28m $esc\[5mblinking$esc\[0m",
    "an end that never comes $esc]0;shown",
    "admin \xe2\x80\xae// \xe2\x81\xa6check\xe2\x81\xa9\xe2\x80\xac https://c.example/\xe2\x80\xaegnp.exe",
    "nul \0 bad \xff\xfe bell $bel back\b delete\x7f",
    "line \xe2\x80\xa8separator\xe2\x80\xa9 next\xc2\x85 line",
    'x' x 100_000,
    'z' . "\xcc\x81" x 10_000,
    "$esc\[31mred and never reset",
);
print "$_\n" for @lines;
