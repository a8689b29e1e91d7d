# Geometric means of time over those of memory, one point an allocator: gnuplot -c plot_scatter.gp
# DATA OUT TITLE COLOURS. A block of DATA is an allocator.
data = ARG1
colours = ARG4

stats data using 1 nooutput
least_x = STATS_min < 1 ? STATS_min : 1
most_x = STATS_max > 1 ? STATS_max : 1
stats data using 2 nooutput
least_y = STATS_min < 1 ? STATS_min : 1
most_y = STATS_max > 1 ? STATS_max : 1
room(a, b) = b - a < 0.1 ? 0.05 : 0.2 * (b - a)

set terminal svg noenhanced size 720, 560 font "sans-serif,13" background "#ffffff"
set output ARG2
set title ARG3 font ",15"
set xlabel "memory, ratio to glibc (left is better)"
set ylabel "time, ratio to glibc (low is better)"
set xrange [least_x - room(least_x, most_x):most_x + room(least_x, most_x)]
set yrange [least_y - room(least_y, most_y):most_y + room(least_y, most_y)]
set border 3 lc rgb "#888888"
set tics nomirror
set grid lc rgb "#dddddd"
set arrow from 1, graph 0 to 1, graph 1 nohead lc rgb "#999999" dt 2
set arrow from graph 0, first 1 to graph 1, first 1 nohead lc rgb "#999999" dt 2

plot for [i = 0:words(colours) - 1] data index i using 1:2 every ::1 with points pt 7 ps 1.2 \
        lc rgb int(word(colours, i + 1)) notitle, \
     for [i = 0:words(colours) - 1] data index i using 1:2:3 every ::1 with labels \
        left offset 0.7, 0.6 textcolor rgb int(word(colours, i + 1)) notitle
