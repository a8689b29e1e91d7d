# Hashes of arrays, strings that grow, splitting, sorting and regular expressions in perl:
# perl_hashes.pl SCALE
use strict;
use warnings;

my $count = int(80000 * $ARGV[0]) + 1;
my $state = 1;

sub pick {
    my ($below) = @_;
    $state = ($state * 16807) % 2147483647;
    return $state % $below;
}

sub fill {
    my %table;
    for my $i (1 .. $count) {
        my $key = "key " . pick(int($count / 4) + 1);
        push @{ $table{$key}{list} }, { number => $i, text => "text " x pick(12) };
        $table{$key}{all} .= "$i,";
        delete $table{ "key " . pick(int($count / 4) + 1) } if $i % 5 == 0;
    }
    return \%table;
}

sub digest {
    my ($table) = @_;
    my ($sum, $words) = (0, 0);
    for my $key (sort keys %$table) {
        $sum += $_ for split /,/, $table->{$key}{all};
        my $joined = join ' ', map { uc $_->{text} } @{ $table->{$key}{list} };
        $joined =~ s/(T)(E)/$2$1/g;
        $words += () = $joined =~ /\w+/g;
    }
    return "$sum $words";
}

print digest(fill()), "\n" for 1 .. 2;
