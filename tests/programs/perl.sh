#!/usr/bin/env bash
# Perl: hashes, strings that grow in place, regular expressions, fork and ithreads.
# shellcheck source=lib.sh disable=SC2016,SC2317
source "$(dirname -- "$0")/lib.sh"

need perl
export PERL_HASH_SEED=0 PERL_PERTURB_KEYS=0

active perl -e 1

cat >"$in/churn.pl" <<'END'
use strict;
use warnings;
use Config;
use Digest::MD5 qw(md5_hex);
use Storable qw(freeze thaw dclone);

sub churn {
    my ($seed, $rounds) = @_;
    my (%table, @queue);
    my $text = '';
    for my $i (1 .. $rounds) {
        $seed = ($seed * 16807) % 2147483647;
        my $key = "key" . ($seed % 5003);
        push @{ $table{$key} }, { n => $i, s => 'x' x ($seed % 300) };
        push @queue, $key;
        delete $table{ shift @queue } if @queue > 2000;
        $text .= sprintf "%s-%d,", $key, $i;
        $text =~ s/key(\d+)-\d+,/<$1>/g if $i % 500 == 0;
        substr($text, 0, length($text) / 2) = '' if length($text) > 50000;
    }
    my $copy = thaw(freeze(dclone(\%table)));
    my $sum = join ',', map { $_ . @{ $copy->{$_} } . length $copy->{$_}[0]{s} } sort keys %$copy;
    return md5_hex($sum . $text);
}

print churn(1, 200000), "\n";
for my $seed (2 .. 5) {
    my $pid = open(my $child, '-|') // die "fork: $!";
    if (!$pid) { print churn($seed, 10000), "\n"; exit 3 }
    print "child: ", <$child>;
    close $child;
    print "code: ", $? >> 8, "\n";
}
if ($Config{useithreads}) {
    require threads;
    my @threads = map { my $s = $_; threads->create(sub { churn($s, 8000) }) } 6 .. 9;
    print "thread: ", $_->join, "\n" for @threads;
}
my @sorted = sort { $a <=> $b } map { ($_ * 16807) % 1000003 } 1 .. 200000;
print "@sorted[0, 1000, 199999]\n";
END

same "churn" perl "$in/churn.pl"
same "one-liners" perl -e 'my $s = "ab" x 100000; my $n = () = $s =~ /(a)(?=b)/g; print "$n\n"'
finish
