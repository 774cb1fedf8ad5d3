#!/usr/bin/perl
# play.pl SEED [KIND] - a build of the soak; Soak::Builds says what it does
use strict;
use warnings;
use FindBin ();
use lib $FindBin::Bin;
use Soak::Builds qw(play);

play(@ARGV);
