(function () {
  "use strict";

  var MINUTE = 60000;
  var QUARTER = 15 * MINUTE;
  var DAY = 24 * 60 * MINUTE;

  // a wall clock ("2026-11-30T10:00") is reckoned as if it were UTC: then a day always has 24 hours
  function stamp(wall) {
    var parts = wall.match(/\d+/g).map(Number);
    return Date.UTC(parts[0], parts[1] - 1, parts[2], parts[3] || 0, parts[4] || 0);
  }

  function wallOf(moment) {
    return new Date(moment).toISOString().slice(0, 16);
  }

  function pad(number) {
    return (number < 10 ? "0" : "") + number;
  }

  function sign(minutes) {
    var size = Math.abs(minutes);
    return (minutes < 0 ? "-" : "+") + pad(Math.floor(size / 60)) + ":" + pad(size % 60);
  }

  /** The clock of the office, whatever the browser's own zone is. */
  window.boardClock = function (zone, language) {
    var parts = new Intl.DateTimeFormat("en-US", {
      timeZone: zone, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit"
    });
    var known = {};
    var days = {};

    // minutes east of UTC; clocks change on a quarter of an hour, so one look serves all its visits
    function offset(moment) {
      var quarter = Math.floor(moment / QUARTER);
      if (!(quarter in known)) {
        var found = {};
        parts.formatToParts(new Date(quarter * QUARTER)).forEach(function (part) { found[part.type] = Number(part.value); });
        var local = Date.UTC(found.year, found.month - 1, found.day, found.hour, found.minute);
        known[quarter] = (local - quarter * QUARTER) / MINUTE;
      }
      return known[quarter];
    }

    function wall(iso) {
      var moment = Date.parse(iso);
      return wallOf(moment + offset(moment) * MINUTE);
    }

    // an hour that comes twice means the first one; one that the clocks skip means the time after the skip
    function iso(clock) {
      var local = stamp(clock);
      var before = offset(local - DAY);
      var shift = [before, offset(local + DAY)].filter(function (one) {
        return offset(local - one * MINUTE) === one;
      })[0];
      var shown = shift === undefined ? wallOf(local + (offset(local - before * MINUTE) - before) * MINUTE) : clock;
      return shown + ":00" + sign(shift === undefined ? offset(local - before * MINUTE) : shift);
    }

    function plus(clock, minutes) {
      return wallOf(stamp(clock) + minutes * MINUTE);
    }

    function dayPlus(day, count) {
      return plus(day, count * 24 * 60).slice(0, 10);
    }

    return {
      wall: wall,
      iso: iso,
      plus: plus,
      dayPlus: dayPlus,
      now: function () { return wall(new Date().toISOString()); },
      offset: function () { return sign(offset(Date.now())); },
      monday: function (day) { return dayPlus(day, -((new Date(stamp(day)).getUTCDay() + 6) % 7)); },
      weekday: function (day) { return new Date(stamp(day)).getUTCDay(); },
      minutes: function (clock) { return Number(clock.slice(11, 13)) * 60 + Number(clock.slice(14, 16)); },
      /** "Пн 30.11" */
      name: function (day) {
        if (!days[day]) {
          var russian = language === "ru";
          var named = new Intl.DateTimeFormat(russian ? "ru" : "en-GB", {
            timeZone: "UTC", weekday: "short", day: "2-digit", month: russian ? "2-digit" : "short"
          }).format(stamp(day)).replace(",", "");
          days[day] = named.charAt(0).toUpperCase() + named.slice(1);
        }
        return days[day];
      },
      /** "30 ноября – 4 декабря 2026 г." */
      title: function (first, last) {
        var long = new Intl.DateTimeFormat(language === "ru" ? "ru" : "en-GB", {
          timeZone: "UTC", day: "numeric", month: "long", year: "numeric", weekday: first === last ? "long" : undefined
        });
        return first === last ? long.format(stamp(first)) : long.formatRange(stamp(first), stamp(last));
      }
    };
  };
})();
